/** What this page is, how to cite it, and the instruments behind it. */
import { library, plateCount } from "../data/library.ts";
import { CopyText } from "../parts/CopyText.tsx";
import { linkToThis } from "../state/address.ts";
import { plural, time } from "../words.ts";

const ROLES: Record<string, string> = {
  embedding: "says which plates are alike",
  segmentation: "separates regions",
  detection: "finds things",
  probe: "compares with words",
  text: "reads or describes",
};

/** The address, of which a folder on one's own disk has only the part that others can use. */
function citable(): string {
  const link = linkToThis();
  return link.startsWith("file:") ? link.slice(link.lastIndexOf("/", link.indexOf("#")) + 1) : link;
}

function citation(): string {
  const { title, made_at: at, made_by: by, catalogue } = library;
  return `${title}. Atlas of ${plural(plateCount(), "plate")}, made ${time(at)} by ${by} from the catalogue ${catalogue}. ${citable()}`;
}

export function AboutView() {
  const { instruments, notices, made_at: at, made_by: by, catalogue } = library;
  return (
    <div class="view" id="about">
      <header class="view-head">
        <h2>About this atlas</h2>
        <p>
          {plural(plateCount(), "plate")}, measured by {plural(instruments.length, "instrument")}. Made {time(at)} by {by} from
          the catalogue <code>{catalogue}</code>. It is a folder of files: it needs no server, and nothing leaves your
          computer.
        </p>
      </header>
      {notices.length > 0 && (
        <section>
          <h3>What is left out</h3>
          <ul class="plain">
            {notices.map((notice) => (
              <li key={notice}>{notice}</li>
            ))}
          </ul>
        </section>
      )}
      <section>
        <h3>How to cite</h3>
        <blockquote>{citation()}</blockquote>
        <p class="explain">
          To cite a view, open it and copy its link: the address states what is shown. Numbers are cited by their run, which
          “Where the numbers come from” names on every plate.
        </p>
        <CopyText text={citation()} button="Copy citation" label="citation" />
      </section>
      <section>
        <h3>How to read it</h3>
        <ul class="plain">
          <li>A model sees plates as points. Plates that lie near each other look alike to this model, and to it alone.</li>
          <li>Colours of frames are never the only sign: legend, list and the plate's own panel say the same in words.</li>
          <li>What a machine wrote is marked machine-made. What a person judged is marked so, beside it.</li>
          <li>“Copy SQL” gives the question that the numbers answer. Ask it with <code>atlas query</code>.</li>
        </ul>
      </section>
      <section>
        <h3>Instruments</h3>
        <div class="instruments">
          {instruments.map((one) => (
            <article key={one.key}>
              <h4>{one.title}</h4>
              <p class="explain">
                {one.role}
                {ROLES[one.role] && `: ${ROLES[one.role]}`}
              </p>
              <dl class="facts is-technical">
                {[
                  ["Model", one.model_id],
                  ["Revision", one.model_sha],
                  ["Weights, sha256", one.weights_sha256 ?? "no weights"],
                  ["Preprocessing", one.preprocess_tag ?? "none"],
                  ["Fingerprint", one.fingerprint],
                  ["Licence", `${one.licence}; commercial use: ${one.commercial_use}`],
                ].map(([name, text]) => (
                  <div key={name}>
                    <dt>{name}</dt>
                    <dd>{text}</dd>
                  </div>
                ))}
              </dl>
              {one.failure_modes.length > 0 && (
                <>
                  <h5>Known to be wrong when…</h5>
                  <ul class="plain">
                    {one.failure_modes.map((mode) => (
                      <li key={mode}>{mode}</li>
                    ))}
                  </ul>
                </>
              )}
            </article>
          ))}
        </div>
      </section>
      <p class="explain">
        This page is drawn with free software; its licences are in the file <a href="licences.txt">licences.txt</a> beside it.
      </p>
    </div>
  );
}
