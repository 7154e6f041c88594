/** What could not be measured, by name and reason, and scans that were refused. */
import { useState } from "preact/hooks";
import { library, nameOf, plateId, titleOf } from "../data/library.ts";
import { CopySql } from "../parts/CopySql.tsx";
import { PlateButton } from "../parts/PlateButton.tsx";
import { plural, time } from "../words.ts";
import { Pages } from "./Pages.tsx";

const PAGE = 200;

function Failed() {
  const [page, setPage] = useState(0);
  const shown = library.failures.slice(page * PAGE, (page + 1) * PAGE);
  return (
    <>
      <div class="scroller" tabIndex={0} role="region" aria-label="Table of failures">
        <table>
          <thead>
            <tr>
              <th scope="col">Plate</th>
              <th scope="col">Instrument</th>
              <th scope="col">State</th>
              <th scope="col">Reason</th>
              <th scope="col">When</th>
              <th scope="col">Run</th>
            </tr>
          </thead>
          <tbody>
            {shown.map(({ plate, instrument, state, reason, failed_at: at, run_id: run }, number) => (
              <tr key={number}>
                <th scope="row">
                  {plate === null ? (
                    "All plates"
                  ) : (
                    <span class="row-plate">
                      <PlateButton index={plate} size={52} note={plateId(plate)} />
                      <span>
                        {titleOf(plate)}
                        <small>{plateId(plate)}</small>
                      </span>
                    </span>
                  )}
                </th>
                <td>{nameOf(instrument)}</td>
                <td>
                  <span class={`state is-${state.replace(/[^a-z]/g, "")}`}>{state}</span>
                </td>
                <td class="reason">{reason}</td>
                <td>{at === null ? <span class="none">–</span> : time(at)}</td>
                <td>{run === null ? <span class="none">–</span> : <code>{run}</code>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Pages count={library.failures.length} each={PAGE} page={page} onPage={setPage} />
    </>
  );
}

export function FailuresView() {
  const { failures, refused_scans: refused } = library;
  return (
    <div class="view" id="failures">
      <header class="view-head">
        <h2>Failures</h2>
        <p>
          A plate that an instrument could not measure costs that plate alone, and is named here.{" "}
          <CopySql sql={library.failures_sql} what="the failures" />
        </p>
      </header>
      {failures.length === 0 ? <p class="empty">Every instrument has measured every plate.</p> : <Failed />}
      <h3>Refused scans</h3>
      {refused.length === 0 ? (
        <p class="empty">No file was refused.</p>
      ) : (
        <>
          <p class="explain">{plural(refused.length, "file")} could not be taken into the library.</p>
          <table>
            <thead>
              <tr>
                <th scope="col">File</th>
                <th scope="col">Reason</th>
              </tr>
            </thead>
            <tbody>
              {refused.map(({ path, reason }) => (
                <tr key={path}>
                  <th scope="row">{path}</th>
                  <td class="reason">{reason}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </>
      )}
    </div>
  );
}
