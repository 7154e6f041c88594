/** From places of an arrangement to pixels of the map and back, and the zoom that people move. */
import { select, type Selection } from "d3-selection";
import "d3-transition";
import { zoom, type ZoomBehavior, zoomIdentity, type ZoomTransform } from "d3-zoom";
import type { Camera } from "../state/hash.ts";
import type { Placement } from "./placement.ts";

const MARGIN_PX = 28;
const GLIDE_MS = 450;

/** How places become pixels: `pixel = place * scale + (x, y)`. */
export interface Projection {
  scale: number;
  x: number;
  y: number;
  /** Enlargement, 1 when all plates are shown. */
  k: number;
  width: number;
  height: number;
}

export const isCalm = (): boolean => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

export class CameraControl {
  private readonly zoom: ZoomBehavior<HTMLElement, unknown>;
  private readonly target: Selection<HTMLElement, unknown, null, undefined>;
  private transform: ZoomTransform = zoomIdentity;
  private fit = 1;
  private middleY = 0;
  private width = 1;
  private height = 1;
  /** Whether a change comes from here and not from a person. */
  private isQuiet = false;

  constructor(
    host: HTMLElement,
    private readonly aspect: () => number,
    mayStart: (event: MouseEvent | TouchEvent | WheelEvent) => boolean,
    private readonly onChange: (isByPerson: boolean) => void,
  ) {
    this.zoom = zoom<HTMLElement, unknown>()
      .scaleExtent([0.6, 60])
      .clickDistance(4)
      .filter(mayStart)
      .on("zoom", (event: { transform: ZoomTransform }) => {
        this.transform = event.transform;
        this.onChange(!this.isQuiet);
      });
    this.target = select(host);
    this.target.call(this.zoom).on("dblclick.zoom", null);
  }

  /** Takes a new size of the map or a new arrangement, and keeps what is in the middle there. */
  refit(placement: Pick<Placement, "height">, width: number, height: number): void {
    const kept = this.camera();
    const isFirst = this.width === 1;
    this.width = width;
    this.height = height;
    this.middleY = -0.5 + placement.height / 2;
    this.fit = Math.max(1, Math.min((width - 2 * MARGIN_PX) / this.aspect(), (height - 2 * MARGIN_PX) / placement.height));
    this.zoom.extent([[0, 0], [width, height]]); // prettier-ignore
    const reach = Math.max(width, height) * 0.5;
    this.zoom.translateExtent([[-reach, -reach], [width + reach, height + reach]]); // prettier-ignore
    const isWhole = kept.k === 1 && this.transform.x === 0 && this.transform.y === 0;
    if (!isFirst) this.show(isWhole ? null : kept, false);
  }

  projection(): Projection {
    const { k, x, y } = this.transform;
    const scale = this.fit * k;
    return {
      scale,
      x: (this.width / 2) * k + x,
      y: (this.height / 2 - this.middleY * this.fit) * k + y,
      k,
      width: this.width,
      height: this.height,
    };
  }

  /** Enlargement and the place in the middle. */
  camera(): Camera {
    const { scale, x, y, k } = this.projection();
    return { k, x: (this.width / 2 - x) / scale, y: (this.height / 2 - y) / scale };
  }

  get isWhole(): boolean {
    const { k, x, y } = this.transform;
    return k === 1 && x === 0 && y === 0;
  }

  /** Shows a place in the middle; everything if none is given. */
  show(wanted: Camera | null, isGliding: boolean): void {
    let transform = zoomIdentity;
    if (wanted) {
      const { k, x, y } = wanted;
      const px = (this.width / 2 + x * this.fit) * k;
      const py = (this.height / 2 + (y - this.middleY) * this.fit) * k;
      transform = zoomIdentity.translate(this.width / 2 - px, this.height / 2 - py).scale(k);
    }
    if (isGliding && !isCalm()) {
      this.target.transition().duration(GLIDE_MS).call(this.zoom.transform, transform);
      return;
    }
    this.isQuiet = !isGliding;
    this.target.interrupt().call(this.zoom.transform, transform);
    this.isQuiet = false;
  }

  scaleBy(factor: number): void {
    if (isCalm()) this.target.call(this.zoom.scaleBy, factor);
    else this.target.transition().duration(200).call(this.zoom.scaleBy, factor);
  }

  destroy(): void {
    this.target.interrupt().on(".zoom", null);
  }
}
