/** What a person judged on this page and has not saved yet. It is kept until it is saved as a file. */
import { computed, signal } from "@preact/signals";

/** The row that is judged: one id, or a space with its cluster. */
export interface Target {
  plate_id: string;
  run_id?: string;
  segment_id?: string;
  text_id?: string;
  detection_id?: string;
  space?: string;
  cluster?: number;
}

export type Verdict = "accepted" | "rejected" | "corrected";

export interface PendingJudgement extends Target {
  judgement: Verdict;
  corrected?: string;
}

interface Kept {
  row: PendingJudgement;
  isSaved: boolean;
}

const kept = signal<ReadonlyMap<string, Kept>>(new Map());

const keyOf = (target: Target): string =>
  JSON.stringify([
    target.plate_id, target.run_id, target.segment_id, target.text_id, target.detection_id, target.space, target.cluster,
  ]); // prettier-ignore

export const unsaved = computed(() => [...kept.value.values()].filter(({ isSaved }) => !isSaved).map(({ row }) => row));

export const judgementOf = (target: Target): PendingJudgement | null => kept.value.get(keyOf(target))?.row ?? null;

/** Keeps a judgement; null takes it back. */
export function judge(target: Target, judgement: Verdict | null, corrected?: string): void {
  const found = new Map(kept.value);
  if (judgement === null) found.delete(keyOf(target));
  else {
    const row: PendingJudgement = { ...target, judgement, ...(corrected === undefined ? {} : { corrected }) };
    found.set(keyOf(target), { row, isSaved: false });
  }
  kept.value = found;
}

export function markSaved(): void {
  kept.value = new Map([...kept.value].map(([key, { row }]) => [key, { row, isSaved: true }]));
}

/** Asks before the page is left with judgements that are in no file. */
export function guardUnsaved(): void {
  window.addEventListener("beforeunload", (event) => {
    if (unsaved.value.length > 0) event.preventDefault();
  });
}
