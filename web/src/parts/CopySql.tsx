/** The question in SQL that the numbers beside it answer. */
import { CopyText } from "./CopyText.tsx";

export function CopySql({ sql, what }: { sql: string; what: string }) {
  return <CopyText text={sql} button="Copy SQL" look="word" label={`SQL of ${what}`} />;
}
