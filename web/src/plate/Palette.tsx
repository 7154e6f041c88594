/** Colours with their shares, as a band and as a list. */
import type { Colour } from "../contract.ts";
import { percent } from "../words.ts";

export function Palette({ colours, isSmall = false }: { colours: readonly Colour[]; isSmall?: boolean }) {
  if (colours.length === 0) return null;
  return (
    <div class={`palette${isSmall ? " is-small" : ""}`}>
      <div class="palette-band" aria-hidden="true">
        {colours.map(({ colour, share }, number) => (
          <span key={number} style={{ backgroundColor: colour, flexGrow: Math.max(0.02, share) }} />
        ))}
      </div>
      <ul>
        {colours.map(({ colour, share }, number) => (
          <li key={number}>
            <span class="swatch" style={{ backgroundColor: colour }} />
            <code>{colour}</code> {percent(share)}
          </li>
        ))}
      </ul>
    </div>
  );
}
