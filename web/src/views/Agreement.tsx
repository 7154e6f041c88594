/** How far the instruments see the same neighbours, and the plates that they differ about most. */
import type { Agreement } from "../contract.ts";
import { library, nameOf, titleOf } from "../data/library.ts";
import { CopySql } from "../parts/CopySql.tsx";
import { PlateButton } from "../parts/PlateButton.tsx";
import { decimals } from "../words.ts";

const MOST_DISPUTED = 24;

function pairOf(first: string, second: string): Agreement | null {
  const isPair = (one: Agreement) =>
    (one.first === first && one.second === second) || (one.first === second && one.second === first);
  return library.agreement.find(isPair) ?? null;
}

function Cell({ row, column }: { row: string; column: string }) {
  if (row === column) return <td class="diagonal" aria-label="the same" />;
  const found = pairOf(row, column);
  if (!found) return <td class="none">–</td>;
  const value = found.calibrated ?? found.overlap;
  const interval = found.low !== null && found.high !== null ? `${decimals(found.low)} to ${decimals(found.high)}` : null;
  const strength = Math.round(Math.max(0, Math.min(1, value)) * 60);
  return (
    <td style={{ backgroundColor: `color-mix(in srgb, var(--accent) ${strength}%, var(--ground))` }} class={strength > 38 ? "is-strong" : ""}>
      <strong>{decimals(value)}</strong>
      <small>{found.calibrated === null ? "not calibrated" : `overlap ${decimals(found.overlap)}`}</small>
      {interval && <small>{interval}</small>}
    </td>
  );
}

export function AgreementView() {
  const keys = library.spaces.map(({ key }) => key).filter((key) => library.agreement.some(({ first, second }) => first === key || second === key));
  const k = library.agreement[0]?.k;
  const { disagreement } = library.plates;
  const disputed = disagreement
    .map((value, index) => ({ value, index }))
    .filter((one): one is { value: number; index: number } => one.value !== null)
    .sort((a, b) => b.value - a.value)
    .slice(0, MOST_DISPUTED);
  return (
    <div class="view" id="agreement">
      <header class="view-head">
        <h2>Agreement</h2>
        <p>
          Do two models see the same plates as alike? Each number compares the {k ?? ""} nearest plates by one model with those
          by another: 0 is what chance gives, 1 is the same plates everywhere. Below it is the share of plates in common before
          chance is taken off, and the interval of that share.{" "}
          <CopySql sql={library.agreement_sql} what="agreement" />
        </p>
      </header>
      {keys.length < 2 ? (
        <p class="empty">There are fewer than two models to compare.</p>
      ) : (
        <div class="scroller" tabIndex={0} role="region" aria-label="Agreement of models">
          <table class="matrix">
            <thead>
              <tr>
                <td />
                {keys.map((key) => (
                  <th scope="col" key={key}>
                    {nameOf(key)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {keys.map((row) => (
                <tr key={row}>
                  <th scope="row">{nameOf(row)}</th>
                  {keys.map((column) => (
                    <Cell key={column} row={row} column={column} />
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <h3>The most disputed plates</h3>
      <p class="explain">
        Here the models differ most about which plates are alike. Open one to see the plates that each of them names.
      </p>
      <div class="gallery">
        {disputed.map(({ index, value }) => (
          <PlateButton key={index} index={index} size={112} note={`${decimals(value)} of 1`} isNamed>
            <span class="gallery-title">{titleOf(index)}</span>
            <small>{decimals(value)}</small>
          </PlateButton>
        ))}
      </div>
      {disputed.length === 0 && <p class="empty">Disagreement was not measured.</p>}
    </div>
  );
}
