/** The nearest plates by every instrument side by side, and in words why they differ. */
import type { Neighbours, PlateDetail } from "../contract.ts";
import { nameOf, plateCount, spaceOf, titleOf } from "../data/library.ts";
import { PlateButton } from "../parts/PlateButton.tsx";
import { CopySql } from "../parts/CopySql.tsx";
import { clusterName, decimals, disagreementWords, plural } from "../words.ts";
import { Judge } from "./Judge.tsx";
import { Section } from "./Section.tsx";

const isEmbedding = ({ space }: Neighbours): boolean => space !== null && spaceOf(space)?.kind !== "colour";

/** A sentence or two about how far the models agree, and what only one of them sees. */
export function whyModelsDiffer(detail: PlateDetail): string {
  const columns = detail.neighbours.filter(isEmbedding);
  const how =
    detail.disagreement === null
      ? "How far the models agree was not measured."
      : `${disagreementWords(detail.disagreement)} (${decimals(detail.disagreement)} of 1).`;
  const alone = columns
    .map(({ space, nearest }) => ({ space: space ?? "", only: nearest.filter(({ votes }) => votes === 1).map(({ plate }) => plate) }))
    .filter(({ only }) => only.length > 0)
    .sort((a, b) => b.only.length - a.only.length)[0];
  if (columns.length < 2 || !alone) return how;
  const named = alone.only.slice(0, 2).map((plate) => `“${titleOf(plate)}”`);
  const more = alone.only.length - named.length;
  const list = more > 0 ? `${named.join(", ")} and ${more} more` : named.join(" and ");
  return `${how} Only ${nameOf(alone.space)} lists ${list}.`;
}

function Head({ column, detail }: { column: Neighbours; detail: PlateDetail }) {
  const { space, cluster, judgement, sql } = column;
  return (
    <th scope="col">
      <span class="column-name">{space === null ? "All together" : nameOf(space)}</span>
      <span class="column-note">
        {space === null ? "by votes" : cluster === null ? "no cluster" : clusterName(cluster)}
        {column.is_outlier && " · outlier"}
      </span>
      <CopySql sql={sql} what={space === null ? "the ensemble" : `neighbours by ${nameOf(space)}`} />
      {space !== null && cluster !== null && (
        <details class="judge-cluster">
          <summary>Judge</summary>
          <Judge
            target={{ plate_id: detail.plate_id, space, cluster }}
            what={`${clusterName(cluster)} of ${nameOf(space)}`}
            judgement={judgement}
            right="Number of the right cluster, or none"
            isRight={(text) => text === "none" || /^\d+$/.test(text)}
          />
        </details>
      )}
    </th>
  );
}

export function NeighboursPart({ detail }: { detail: PlateDetail }) {
  const columns = detail.neighbours.filter(({ space, nearest }) => space === null || nearest.length > 0 || spaceOf(space));
  const ranks = Math.max(0, ...columns.map(({ nearest }) => nearest.length));
  const voters = columns.filter(isEmbedding).length;
  const explain = (
    <>
      {whyModelsDiffer(detail)} A number on a picture says how many of {plural(voters, "model")} list it.{" "}
      <CopySql sql={detail.disagreement_sql} what="disagreement" />
    </>
  );
  if (ranks === 0) {
    return (
      <Section id="neighbours" title="Plates like this one">
        <p class="empty">{plateCount() === 1 ? "There is no other plate." : "No instrument has a vector of this plate."}</p>
      </Section>
    );
  }
  return (
    <Section id="neighbours" title="Plates like this one" explain={explain}>
      <div class="scroller" tabIndex={0} role="region" aria-label="Nearest plates by each instrument">
        <table class="neighbours">
          <thead>
            <tr>
              <td class="rank" />
              {columns.map((column) => (
                <Head key={column.space ?? ""} column={column} detail={detail} />
              ))}
            </tr>
          </thead>
          <tbody>
            {Array.from({ length: ranks }, (_, rank) => (
              <tr key={rank}>
                <th scope="row" class="rank">
                  {rank + 1}
                </th>
                {columns.map(({ space, nearest }) => {
                  const near = nearest[rank];
                  if (!near) return <td key={space ?? ""} />;
                  const { plate, cosine, votes } = near;
                  const said = `${plural(votes, "model")} of ${voters}${cosine === null ? "" : `, cosine ${decimals(cosine)}`}`;
                  return (
                    <td key={space ?? ""}>
                      <PlateButton index={plate} size={68} note={said} class={votes > 1 ? "is-agreed" : ""}>
                        {votes > 1 && <span class="votes">{votes}</span>}
                      </PlateButton>
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Section>
  );
}
