/** A plate's thumbnail, cut out of its sheet. Decoration: the element around it has the plate's name. */
import { library } from "../data/library.ts";
import { cellOf, sheetUrl } from "../data/sheets.ts";

interface Props {
  index: number;
  /** Longest side in pixels. */
  size: number;
}

export function Thumb({ index, size }: Props) {
  const cell = cellOf(index);
  if (!cell) return <span class="thumb is-missing" style={{ width: `${size * 0.75}px`, height: `${size}px` }} />;
  const scale = size / Math.max(cell.width, cell.height);
  const { cell_px, columns, rows } = library.sprites;
  const box = { width: `${cell.width * scale}px`, height: `${cell.height * scale}px` };
  const sheet = {
    width: `${cell_px * columns * scale}px`,
    height: `${cell_px * rows * scale}px`,
    transform: `translate(${-cell.x * scale}px, ${-cell.y * scale}px)`,
  };
  const url = sheetUrl(cell.sheet).value;
  return (
    <span class="thumb" style={box}>
      {url && <img src={url} alt="" style={sheet} draggable={false} />}
    </span>
  );
}
