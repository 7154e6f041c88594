/** A button that copies a text. Where the browser does not let it, the text is shown and selected. */
import { useEffect, useRef, useState } from "preact/hooks";
import { announce } from "../state/state.ts";

interface Props {
  /** The text, or what gives it when it is asked for. */
  text: string | (() => string);
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
  const [copied, setCopied] = useState("");
  const copy = () => {
    const found = typeof text === "string" ? text : text();
    setCopied(found);
    // Without a secure context there is no clipboard, although its type says so.
    const clipboard = navigator.clipboard as Clipboard | undefined;
    if (!clipboard) {
      setState("shown");
      return;
    }
    clipboard.writeText(found).then(
      () => {
        setState("copied");
        announce("Copied");
      },
      () => setState("shown"),
    );
  };
  return (
    <span class="copy">
      <button type="button" class={look} onClick={copy} title={typeof text === "string" ? text : label} aria-label={`${button}: ${label}`}>
        {state === "copied" ? "Copied" : button}
      </button>
      {state === "shown" && (
        <textarea ref={field} readOnly rows={Math.min(8, copied.split("\n").length + 1)} aria-label={label} value={copied} />
      )}
    </span>
  );
}
