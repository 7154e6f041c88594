/** A person's judgement of a machine's row: what was said before, and what is said now, until it is saved. */
import { useState } from "preact/hooks";
import type { Judgement } from "../contract.ts";
import { announce } from "../state/state.ts";
import { judge, judgementOf, type Target, type Verdict } from "../save/judgements.ts";
import { time } from "../words.ts";

const WORDS: Record<Verdict, string> = { accepted: "Accepted", rejected: "Rejected", corrected: "Corrected" };

/** What is in the dataset already. */
export function Said({ judgement }: { judgement: Judgement | null }) {
  if (!judgement) return null;
  const { corrected, person, judged_at: at, is_disputed: isDisputed } = judgement;
  return (
    <p class={`said is-${judgement.judgement}`}>
      <span class="by-person">by a person</span> {WORDS[judgement.judgement]}
      {corrected !== null && (
        <>
          {" "}
          to “<span class="corrected">{corrected}</span>”
        </>
      )}{" "}
      by {person}, {time(at).split(",")[0]}
      {isDisputed && ". Other people judged otherwise"}
    </p>
  );
}

interface Props {
  target: Target;
  /** What is judged, such as `text “N° 12”`. */
  what: string;
  judgement: Judgement | null;
  /** What a correction states, such as `The right text`. */
  right: string;
  /** Whether a correction has a form that can be read; of clusters a number or `none`. */
  isRight?: (text: string) => boolean;
}

export function Judge({ target, what, judgement, right, isRight = () => true }: Props) {
  const [draft, setDraft] = useState<string | null>(null);
  const now = judgementOf(target);
  const press = (verdict: "accepted" | "rejected") => {
    const isTakenBack = now?.judgement === verdict;
    judge(target, isTakenBack ? null : verdict);
    setDraft(null);
    announce(isTakenBack ? "Judgement taken back" : `${WORDS[verdict]}, not saved yet`);
  };
  const correct = () => {
    const text = draft?.trim() ?? "";
    if (!text || !isRight(text)) return;
    judge(target, "corrected", text);
    setDraft(null);
    announce("Corrected, not saved yet");
  };
  return (
    <div class="judge">
      <Said judgement={judgement} />
      <div role="group" aria-label={`Your judgement of ${what}`}>
        {(["accepted", "rejected"] as const).map((verdict) => (
          <button type="button" class="word" key={verdict} aria-pressed={now?.judgement === verdict} onClick={() => press(verdict)}>
            {verdict === "accepted" ? "Accept" : "Reject"}
          </button>
        ))}
        <button
          type="button"
          class="word"
          aria-pressed={now?.judgement === "corrected"}
          aria-expanded={draft !== null}
          onClick={() => setDraft(draft === null ? (now?.corrected ?? "") : null)}
        >
          Correct…
        </button>
        {now?.judgement === "corrected" && draft === null && <span class="corrected">{now.corrected}</span>}
      </div>
      {draft !== null && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            correct();
          }}
        >
          <label>
            <span>{right}</span>
            <input value={draft} maxLength={20_000} onInput={(event) => setDraft(event.currentTarget.value)} />
          </label>
          <button type="submit" disabled={!draft.trim() || !isRight(draft.trim())}>
            Keep
          </button>
        </form>
      )}
    </div>
  );
}
