/** Draws all plates as thumbnails with WebGL2: one quad each, taken from an array of sheets.
 * Quads are plain triangles: programs that draw without a graphics card take each instance of a mesh for a drawing of its own.
 */
import * as twgl from "twgl.js";
import type { Sprites } from "../contract.ts";
import { FRAGMENT, VERTEX } from "./shaders.ts";

export const SELECTED = 1;
export const DIM = 2;
export const RAISED = 4;
export const COLOURED = 8;

/** Memory that sheets may take on the card before they are drawn smaller: 256 MiB. */
const MOST_TEXELS = 64 * 1024 * 1024;
const MOST_LOD = 4;
const CORNERS = 4;

export type Rgb = readonly [number, number, number];

export interface Frame {
  /** Pixels per unit of the arrangement. */
  scale: number;
  /** The middle of the arrangement in pixels of the canvas. */
  x: number;
  y: number;
  progress: number;
  sizePx: number;
  framePx: number;
  ground: Rgb;
  line: Rgb;
  accent: Rgb;
}

/** Values of plates, the same for the four corners of each. */
function forCorners<Values extends Float32Array | Uint8Array>(values: Values, components: number): Values {
  const made = (values instanceof Uint8Array ? new Uint8Array(values.length * CORNERS) : new Float32Array(values.length * CORNERS)) as Values;
  for (let i = 0; i < values.length; i += components) {
    const plate = values.subarray(i, i + components);
    for (let corner = 0; corner < CORNERS; corner++) made.set(plate, i * CORNERS + corner * components);
  }
  return made;
}

export class Renderer {
  readonly gl: WebGL2RenderingContext;
  private readonly program: twgl.ProgramInfo;
  private readonly buffers: twgl.BufferInfo;
  private readonly vertices: twgl.VertexArrayInfo;
  private readonly texture: WebGLTexture;
  private readonly sheetPx: number;
  private readonly shrink: number;
  private readonly cellPx: number;
  private readonly columns: number;
  private readonly each: number;
  private readonly count: number;

  constructor(canvas: HTMLCanvasElement, sprites: Sprites, widths: readonly number[], heights: readonly number[]) {
    const gl = canvas.getContext("webgl2", { antialias: false, alpha: false, depth: true });
    if (!gl) throw new Error("WebGL2 is missing");
    this.gl = gl;
    this.program = twgl.createProgramInfo(gl, [VERTEX, FRAGMENT]);
    const count = widths.length;
    const largest = Math.min(2048, gl.getParameter(gl.MAX_TEXTURE_SIZE) as number);
    const side = Math.max(sprites.columns, sprites.rows) * sprites.cell_px;
    const fits = Math.sqrt(MOST_TEXELS / (Math.max(1, sprites.sheet_count) * side * side));
    this.shrink = Math.min(1, largest / side, fits);
    this.sheetPx = Math.max(1, Math.floor(side * this.shrink));
    const changing = { drawType: gl.DYNAMIC_DRAW };
    const quad = [0, 1, 2, 2, 1, 3];
    const ofVertex = (values: readonly number[]) =>
      Float32Array.from({ length: count * CORNERS }, (_, vertex) => (values[Math.floor(vertex / CORNERS)] ?? 0) * this.shrink);
    this.buffers = twgl.createBufferInfoFromArrays(gl, {
      start: { numComponents: 2, data: new Float32Array(count * CORNERS * 2), ...changing },
      end: { numComponents: 2, data: new Float32Array(count * CORNERS * 2), ...changing },
      look: { numComponents: 4, data: new Uint8Array(count * CORNERS * 4), normalize: false, ...changing },
      wide: { numComponents: 1, data: ofVertex(widths) },
      high: { numComponents: 1, data: ofVertex(heights) },
      indices: Uint32Array.from({ length: count * 6 }, (_, i) => Math.floor(i / 6) * CORNERS + (quad[i % 6] ?? 0)),
    });
    this.vertices = twgl.createVertexArrayInfo(gl, this.program, this.buffers);
    this.cellPx = sprites.cell_px * this.shrink;
    this.columns = sprites.columns;
    this.each = sprites.columns * sprites.rows;
    this.count = count;
    this.texture = this.makeTexture(Math.max(1, sprites.sheet_count));
  }

  private makeTexture(layers: number): WebGLTexture {
    const { gl } = this;
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, texture);
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, MOST_LOD + 1, gl.RGBA8, this.sheetPx, this.sheetPx, layers);
    gl.texParameteri(gl.TEXTURE_2D_ARRAY, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_NEAREST);
    gl.texParameteri(gl.TEXTURE_2D_ARRAY, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
    gl.texParameteri(gl.TEXTURE_2D_ARRAY, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D_ARRAY, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
    return texture;
  }

  /** Puts a sheet onto the card, smaller if all sheets together would take too much of it. */
  async setSheet(layer: number, blob: Blob): Promise<void> {
    const { gl } = this;
    let image = await createImageBitmap(blob);
    const [wholeWidth, wholeHeight] = [image.width, image.height];
    // The browser makes the smaller copies beside the page's own thread; generateMipmap would make those of all sheets.
    for (let level = 0; level <= MOST_LOD; level++) {
      const [width, height] = [wholeWidth, wholeHeight].map((side) => Math.floor((side * this.shrink) / 2 ** level));
      if (!width || !height) break;
      if (width !== image.width || height !== image.height) {
        const options = { resizeWidth: width, resizeHeight: height, resizeQuality: "medium" } as const;
        const smaller = await createImageBitmap(image, options);
        image.close();
        image = smaller;
      }
      gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.texture);
      gl.texSubImage3D(
        gl.TEXTURE_2D_ARRAY, level, 0, 0, layer, width, height, 1, gl.RGBA, gl.UNSIGNED_BYTE, image,
      ); // prettier-ignore
    }
    image.close();
  }

  /** Where plates go from, and to: pairs of x and y. */
  setPlaces(start: Float32Array, end: Float32Array): void {
    this.write("start", forCorners(start, 2));
    this.write("end", forCorners(end, 2));
  }

  /** Frame and state of each plate: red, green, blue, and the sum of its flags. */
  setLooks(looks: Uint8Array): void {
    this.write("look", forCorners(looks, 4));
  }

  private write(name: string, data: Float32Array | Uint8Array): void {
    const attribute = this.buffers.attribs?.[name];
    if (attribute) twgl.setAttribInfoBufferFromArray(this.gl, attribute, data);
  }

  draw(frame: Frame): void {
    const { gl } = this;
    gl.viewport(0, 0, gl.canvas.width, gl.canvas.height);
    gl.clearColor(...frame.ground, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.depthFunc(gl.LEQUAL);
    gl.useProgram(this.program.program);
    gl.bindVertexArray(this.vertices.vertexArrayObject ?? null);
    twgl.setUniforms(this.program, {
      viewport: [gl.canvas.width, gl.canvas.height],
      view: [frame.scale, frame.x, frame.y],
      progress: frame.progress,
      sizePx: frame.sizePx,
      framePx: frame.framePx,
      sheet: [this.cellPx, this.columns, this.each, this.sheetPx],
      mostLod: Math.min(MOST_LOD, Math.log2(this.cellPx) - 2),
      count: this.count,
      sheets: this.texture,
      ground: frame.ground,
      line: frame.line,
      accent: frame.accent,
      blank: frame.ground.map((share, i) => (share + (frame.line[i] ?? 0)) / 2),
    });
    gl.drawElements(gl.TRIANGLES, this.count * 6, gl.UNSIGNED_INT, 0);
    gl.bindVertexArray(null);
  }

  destroy(): void {
    this.gl.deleteTexture(this.texture);
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}
