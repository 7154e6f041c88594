/** What machines read and said of a plate: lines of text, captions, scores of probes, boxes. Always marked as theirs. */
import type { PlateDetail } from "../contract.ts";
import { instrumentOf, nameOf } from "../data/library.ts";
import { CopySql } from "../parts/CopySql.tsx";
import { decimals, percent, plural } from "../words.ts";
import { Judge } from "./Judge.tsx";
import { pointedRow } from "./Picture.tsx";
import { MachineMade, Section } from "./Section.tsx";

export function KnownToBeWrong({ instrument }: { instrument: string }) {
  const modes = instrumentOf(instrument)?.failure_modes ?? [];
  if (modes.length === 0) return null;
  return (
    <details class="wrong">
      <summary>Known to be wrong when…</summary>
      <ul>
        {modes.map((mode) => (
          <li key={mode}>{mode}</li>
        ))}
      </ul>
    </details>
  );
}

export function TextsPart({ detail }: { detail: PlateDetail }) {
  return (
    <Section id="texts" title="Text" explain="What instruments read on the plate, or wrote about it. No person checked it unless it says so.">
      {detail.texts.length === 0 && <p class="empty">No instrument has read this plate.</p>}
      {detail.texts.map(({ instrument, run_id: run, texts, sql }) => (
        <div class="readings" key={instrument}>
          <h4>
            {nameOf(instrument)} <MachineMade by={nameOf(instrument)} /> <CopySql sql={sql} what={`texts by ${nameOf(instrument)}`} />
          </h4>
          {texts.length === 0 && <p class="empty">It found no text.</p>}
          <ul>
            {texts.map(({ text_id: id, stage, text, score, judgement }) => (
              <li key={id} onPointerEnter={() => (pointedRow.value = id)} class={pointedRow.value === id ? "is-pointed" : ""}>
                <p class="read" dir="auto">
                  {text}
                </p>
                <small>
                  {stage}
                  {score !== null && ` · score ${decimals(score)}`}
                </small>
                <Judge
                  target={{ plate_id: detail.plate_id, run_id: run, text_id: id }}
                  what={`text “${text.slice(0, 40)}”`}
                  judgement={judgement}
                  right="The right text"
                />
              </li>
            ))}
          </ul>
          <KnownToBeWrong instrument={instrument} />
        </div>
      ))}
    </Section>
  );
}

export function ProbesPart({ detail }: { detail: PlateDetail }) {
  if (detail.probes.length === 0) return null;
  return (
    <Section id="probes" title="What a model takes it for" explain="Each probe compares the picture with a list of words, and gives each a score.">
      {detail.probes.map(({ instrument, calibration, scores, label_count: count, sql }) => (
        <div class="readings" key={instrument}>
          <h4>
            {nameOf(instrument)} <MachineMade by={nameOf(instrument)} /> <CopySql sql={sql} what={`scores by ${nameOf(instrument)}`} />
          </h4>
          <ul class="scores">
            {scores.map(({ label, score }) => (
              <li key={label}>
                <span>{label}</span>
                <span class="bar" aria-hidden="true">
                  <span style={{ width: percent(Math.min(1, Math.max(0, score))) }} />
                </span>
                <span>{decimals(score)}</span>
              </li>
            ))}
          </ul>
          <p class="explain">
            {count > scores.length && `The highest of ${plural(count, "word")}. `}
            {calibration}
          </p>
          <KnownToBeWrong instrument={instrument} />
        </div>
      ))}
    </Section>
  );
}

export function DetectionsPart({ detail }: { detail: PlateDetail }) {
  if (detail.detections.length === 0) return null;
  return (
    <Section id="boxes" title="Things found" explain="Boxes that a detector drew around what it took for a thing of that name.">
      {detail.detections.map(({ instrument, run_id: run, detections, sql }) => (
        <div class="readings" key={instrument}>
          <h4>
            {nameOf(instrument)} <MachineMade by={nameOf(instrument)} /> <CopySql sql={sql} what={`boxes by ${nameOf(instrument)}`} />
          </h4>
          {detections.length === 0 && <p class="empty">It found nothing.</p>}
          <ul>
            {detections.map(({ detection_id: id, label, score, judgement }) => (
              <li key={id} onPointerEnter={() => (pointedRow.value = id)} class={pointedRow.value === id ? "is-pointed" : ""}>
                <p class="read">{label}</p>
                <small>score {decimals(score)}</small>
                <Judge
                  target={{ plate_id: detail.plate_id, run_id: run, detection_id: id }}
                  what={`box “${label.slice(0, 40)}”`}
                  judgement={judgement}
                  right="What it is"
                />
              </li>
            ))}
          </ul>
          <KnownToBeWrong instrument={instrument} />
        </div>
      ))}
    </Section>
  );
}
