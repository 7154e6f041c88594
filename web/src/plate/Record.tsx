/** What is on record of a plate: facts of its index, tags, outliers and near-duplicates, and where the numbers come from. */
import type { PlateDetail, Provenance } from "../contract.ts";
import { library, nameOf } from "../data/library.ts";
import { PlateButton } from "../parts/PlateButton.tsx";
import { CopySql } from "../parts/CopySql.tsx";
import { titleOf } from "../data/library.ts";
import { decimals, short, time } from "../words.ts";
import { Section } from "./Section.tsx";

export function FactsPart({ detail, index }: { detail: PlateDetail; index: number }) {
  const { source } = detail;
  const licence = library.plates.licence[index];
  return (
    <Section id="facts" title="In the index" sql={detail.facts_sql}>
      <dl class="facts">
        {detail.facts.map(({ name, text }, number) => (
          <div key={number}>
            <dt>{name}</dt>
            <dd dir="auto">{text}</dd>
          </div>
        ))}
        <div>
          <dt>Licence</dt>
          <dd>{licence ?? "not stated"}</dd>
        </div>
        <div>
          <dt>Scan</dt>
          <dd>
            {source.name}, {source.width_px} × {source.height_px} pixels
            {source.origin && <span class="origin">{source.origin}</span>}
          </dd>
        </div>
      </dl>
    </Section>
  );
}

export function TagsPart({ detail }: { detail: PlateDetail }) {
  return (
    <Section id="tags" title="Tags" sql={detail.tags_sql}>
      {detail.tags.length === 0 ? (
        <p class="empty">Nobody has tagged this plate.</p>
      ) : (
        <ul class="tags">
          {detail.tags.map((tag) => {
            const people = library.tags.find((one) => one.tag === tag)?.people.join(", ");
            return (
              <li key={tag}>
                {tag} <span class="by-person">by {people ?? "a person"}</span>
              </li>
            );
          })}
        </ul>
      )}
    </Section>
  );
}

export function OddPart({ detail, index }: { detail: PlateDetail; index: number }) {
  const outliers = detail.neighbours.filter(({ is_outlier: is }) => is);
  const pairs = library.duplicates.filter(({ first, second }) => first === index || second === index);
  return (
    <>
      {outliers.length > 0 && (
        <Section id="outlier" title="Far from all others" explain="A plate that lies alone may be a rarity, or a faulty scan.">
          <ul class="plain">
            {outliers.map(({ space, outlier_factor: factor, sql }) => (
              <li key={space ?? ""}>
                Outlier to {nameOf(space ?? "")}
                {factor !== null && ` (local outlier factor ${decimals(factor)}; 1 is usual)`}{" "}
                <CopySql sql={sql} what={`the outlier in ${nameOf(space ?? "")}`} />
              </li>
            ))}
          </ul>
        </Section>
      )}
      <Section id="duplicates" title="Nearly the same plate" sql={detail.duplicates_sql}>
        {pairs.length === 0 ? (
          <p class="empty">No other plate looks like a copy of this one.</p>
        ) : (
          <ul class="plain">
            {pairs.map(({ first, second, evidence }) => {
              const other = first === index ? second : first;
              return (
                <li key={other} class="duplicate">
                  <PlateButton index={other} size={84} />
                  <span>
                    <strong>{titleOf(other)}</strong>
                    <br />
                    {evidence}
                  </span>
                </li>
              );
            })}
          </ul>
        )}
      </Section>
    </>
  );
}

function Origin({ one }: { one: Provenance }) {
  const rows: [string, string | null][] = [
    ["Model", one.model_id],
    ["Revision", one.model_sha],
    ["Weights, sha256", one.weights_sha256],
    ["Source, sha256", one.source_sha256],
    ["Run", `${one.run_id}, sealed ${time(one.sealed_at)}`],
    ["Fingerprint", one.fingerprint],
    ["Preprocessing", one.preprocess_tag],
    ["Code", one.code_git_sha && `${short(one.code_git_sha)}${one.code_is_dirty ? ", with changes that are in no commit" : ""}`],
    ["Computed on", [one.device, one.dtype].filter(Boolean).join(", ") || null],
    ["Licence", one.licence],
  ];
  return (
    <details class="origin-of">
      <summary>
        {nameOf(one.instrument)} <small>{one.table}</small>
      </summary>
      <dl class="facts is-technical">
        {rows.map(([name, text]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{text ?? "none"}</dd>
          </div>
        ))}
      </dl>
      <CopySql sql={one.sql} what={`numbers by ${nameOf(one.instrument)}`} />
    </details>
  );
}

export function ProvenancePart({ detail }: { detail: PlateDetail }) {
  return (
    <Section
      id="provenance"
      title="Where the numbers come from"
      explain="Every number is of one run of one model over one file, named by their digests, so that it can be computed again."
    >
      {detail.provenance.map((one) => (
        <Origin key={`${one.instrument} ${one.table}`} one={one} />
      ))}
      <p class="explain">
        Scan: <code class="digest">{detail.source.sha256}</code> (sha256)
      </p>
    </Section>
  );
}
