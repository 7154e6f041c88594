/** The map while it is on the page: draws when something changed, moves plates between arrangements, finds plates. */
import { effect, untracked } from "@preact/signals";
import { library, plateCount } from "../data/library.ts";
import { blobOf } from "../data/sheets.ts";
import { loadSheet } from "../data/receive.ts";
import { camera, openPlate, selection } from "../state/state.ts";
import { isDark } from "../state/theme.ts";
import { CameraControl, isCalm } from "./camera.ts";
import { looksOf, sharesOf } from "./looks.ts";
import type { OnScreen } from "./picking.ts";
import type { Placement } from "./placement.ts";
import { Renderer, type Rgb } from "./renderer.ts";
import {
  aspect, colouring, highlighted, hovered, isLassoing, isMoving, placement, projection, reached, thumbnailPx,
} from "./shown.ts"; // prettier-ignore

const MOVE_MS = 900;
const SETTLED_MS = 180;

export class PlateMap {
  readonly control: CameraControl;
  private readonly renderer: Renderer;
  private readonly stops: (() => void)[] = [];
  private colours: { ground: Rgb; line: Rgb; accent: Rgb } = { ground: [1, 1, 1], line: [0, 0, 0], accent: [1, 0, 0] };
  private placed: Placement | null = null;
  private from = new Float32Array(0);
  private to = new Float32Array(0);
  private fromSize = 0;
  private startedAt = -MOVE_MS;
  private isAsked = false;
  private settle = 0;
  private isGone = false;

  constructor(
    private readonly host: HTMLElement,
    private readonly canvas: HTMLCanvasElement,
  ) {
    const { sprites, plates } = library;
    this.renderer = new Renderer(canvas, sprites, plates.thumbnail_width, plates.thumbnail_height);
    this.control = new CameraControl(
      host,
      () => aspect.peek(),
      (event) => !isLassoing.peek() && !event.shiftKey && !(event instanceof MouseEvent && event.button !== 0),
      (isByPerson) => this.moved(isByPerson),
    );
    const observer = new ResizeObserver(() => this.resize());
    observer.observe(host);
    this.stops.push(() => observer.disconnect());
    this.stops.push(effect(() => this.arrange(placement.value)));
    this.stops.push(effect(() => this.look()));
    this.stops.push(effect(() => this.followCamera()));
    this.stops.push(effect(() => this.repaint(isDark.value)));
    void this.loadSheets();
  }

  destroy(): void {
    this.isGone = true;
    for (const stop of this.stops) stop();
    window.clearTimeout(this.settle);
    this.control.destroy();
    this.renderer.destroy();
  }

  private async loadSheets(): Promise<void> {
    for (let sheet = 0; sheet < library.sprites.sheet_count; sheet++) {
      try {
        await this.renderer.setSheet(sheet, blobOf(await loadSheet(sheet)));
      } catch (error) {
        console.warn(String(error));
      }
      if (this.isGone) return;
      this.ask();
    }
    this.host.dataset["pictures"] = "loaded";
  }

  private resize(): void {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (width === 0 || height === 0) return;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.control.refit(placement.peek(), width, height);
    if (projection.peek() === null) this.control.show(camera.peek(), false);
    this.publish();
    this.draw();
  }

  /** Plates move from where they are now to their new places. */
  private arrange(next: Placement): void {
    const count = plateCount();
    const end = new Float32Array(count * 2);
    for (let i = 0; i < count; i++) end.set([next.x[i] ?? 0, next.y[i] ?? 0], i * 2);
    const isFirst = this.placed === null;
    const progress = this.progress();
    this.fromSize = isFirst ? next.size : this.size(progress);
    this.from = isFirst ? end : this.to.map((x, i) => (this.from[i] ?? 0) * (1 - progress) + x * progress);
    this.to = end;
    this.placed = next;
    this.startedAt = isFirst || isCalm() ? -MOVE_MS : performance.now();
    this.renderer.setPlaces(this.from, this.to);
    untracked(() => {
      if (this.host.clientWidth > 0) this.control.refit(next, this.host.clientWidth, this.host.clientHeight);
      if (!isFirst && camera.peek() === null) this.control.show(null, false);
      this.publish();
    });
    this.ask();
  }

  private look(): void {
    this.renderer.setLooks(
      looksOf({
        count: plateCount(),
        colourOf: colouring.value?.colourOf ?? null,
        selected: selection.value,
        highlighted: highlighted.value,
        raised: [hovered.value, reached.value, openPlate.value],
      }),
    );
    this.ask();
  }

  private followCamera(): void {
    const wanted = camera.value;
    if (projection.peek() === null) return;
    const now = this.control.camera();
    const isThere =
      wanted === null
        ? this.control.isWhole
        : Math.abs(now.k - wanted.k) < 0.02 && Math.hypot(now.x - wanted.x, now.y - wanted.y) * now.k < 0.003;
    if (!isThere && !isMoving.peek()) untracked(() => this.control.show(wanted, false));
  }

  private repaint(_isDark: boolean): void {
    const style = getComputedStyle(this.host);
    const probe = (name: string) => {
      this.canvas.style.color = `var(${name})`;
      return sharesOf(getComputedStyle(this.canvas).color);
    };
    this.colours = { ground: sharesOf(style.backgroundColor), line: probe("--frame"), accent: probe("--accent") };
    this.ask();
  }

  private moved(isByPerson: boolean): void {
    this.publish();
    this.ask();
    if (!isByPerson) return;
    isMoving.value = true;
    hovered.value = null;
    window.clearTimeout(this.settle);
    this.settle = window.setTimeout(() => {
      isMoving.value = false;
      camera.value = this.control.isWhole ? null : this.control.camera();
    }, SETTLED_MS);
  }

  private publish(): void {
    const found = this.control.projection();
    projection.value = found;
    thumbnailPx.value = this.size(1);
  }

  private progress(): number {
    const share = Math.min(1, (performance.now() - this.startedAt) / MOVE_MS);
    return share < 0.5 ? 4 * share ** 3 : 1 - (-2 * share + 2) ** 3 / 2;
  }

  /** Longer side of thumbnails in pixels. */
  private size(progress: number): number {
    if (!this.placed) return 1;
    const { scale, k } = this.control.projection();
    const now = (this.placed.size * scale * k ** this.placed.growth) / k;
    return this.fromSize * (1 - progress) + Math.max(3, now) * progress;
  }

  private ask(): void {
    if (this.isAsked || this.isGone) return;
    this.isAsked = true;
    requestAnimationFrame(() => {
      this.isAsked = false;
      if (!this.isGone) this.draw();
    });
  }

  private draw(): void {
    const progress = this.progress();
    const ratio = this.canvas.width / Math.max(1, this.host.clientWidth);
    const { scale, x, y } = this.control.projection();
    const size = this.size(progress);
    this.renderer.draw({
      scale: scale * ratio,
      x: x * ratio,
      y: y * ratio,
      progress,
      sizePx: size * ratio,
      framePx: Math.max(1, Math.round(Math.min(4, size * 0.05) * ratio)),
      ...this.colours,
    });
    if (progress < 1) this.ask();
  }

  /** Where plates are on the map now. */
  onScreen(): OnScreen {
    const { scale, x, y } = this.control.projection();
    const places = placement.peek();
    return {
      x: places.x.map((value) => value * scale + x),
      y: places.y.map((value) => value * scale + y),
      size: thumbnailPx.peek(),
      shape: (index) => shapeOf(index),
    };
  }

  /** Brings a plate into sight if it is outside. */
  reveal(index: number): void {
    const { scale, x, y, width, height, k } = this.control.projection();
    const places = placement.peek();
    const [px, py] = [places.x[index] ?? 0, places.y[index] ?? 0];
    const [sx, sy] = [px * scale + x, py * scale + y];
    const margin = Math.min(60, width / 6);
    if (sx > margin && sy > margin && sx < width - margin && sy < height - margin) return;
    this.control.show({ k, x: px, y: py }, true);
  }
}

/** Width and height of a plate's thumbnail as shares of the longer side. */
export function shapeOf(index: number): [number, number] {
  const width = library.plates.thumbnail_width[index] || 3;
  const height = library.plates.thumbnail_height[index] || 4;
  const longer = Math.max(width, height);
  return [width / longer, height / longer];
}
