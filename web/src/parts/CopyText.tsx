/** A button that copies a text. Where the browser does not let it, the text is shown and selected. */
import { useEffect, useRef, useState } from "preact/hooks";
import { announce } from "../state/state.ts";

interface Props {
  text: string;
  button: string;
  /** What the text is, for readers of the screen. */
  label: string;
  look?: "quiet" | "word";
}

export function CopyText({ text, button, label, look = "quiet" }: Props) {
  const [state, setState] = useState<"idle" | "copied" | "shown">("idle");
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    if (state === "shown") field.current?.select();
    if (state !== "copied") return undefined;
    const timer = window.setTimeout(() => setState("idle"), 2500);
    return () => window.clearTimeout(timer);
  }, [state]);
  const copy = () => {
    // Without a secure context there is no clipboard, whatever its type says.
    const clipboard = navigator.clipboard as Clipboard | undefined;
    if (!clipboard) {
      setState("shown");
      return;
    }
    clipboard.writeText(text).then(
      () => {
        setState("copied");
        announce("Copied");
      },
      () => setState("shown"),
    );
  };
  return (
    <span class="copy">
      <button type="button" class={look} onClick={copy} title={text} aria-label={`${button}: ${label}`}>
        {state === "copied" ? "Copied" : button}
      </button>
      {state === "shown" && (
        <textarea ref={field} readOnly rows={Math.min(8, text.split("\n").length + 1)} aria-label={label} value={text} />
      )}
    </span>
  );
}
