/** The two programs of the map on the graphics card: where a thumbnail lies, and what is seen of it. */
export const VERTEX = `#version 300 es
precision highp float;
in vec2 start;     // place in the arrangement before, in its units
in vec2 end;       // place now
in vec4 look;      // red, green, blue of the frame; flags
in float wide;     // thumbnail's pixels in the sheet; 0 without one
in float high;
uniform vec2 viewport;   // pixels
uniform vec3 view;       // pixels per unit, and pixels of the middle
uniform float progress;  // 0 at the start, 1 at the end
uniform float sizePx;    // longer side of a thumbnail
uniform float framePx;
uniform vec4 sheet;      // cell in pixels, columns, cells of a sheet, pixels of a sheet
uniform float mostLod;
uniform vec3 ground;
uniform vec3 line;
uniform vec3 accent;
uniform float count;     // plates
out vec2 at;             // pixels from the thumbnail's upper left corner
flat out vec2 extent;    // pixels of the thumbnail
out vec2 uv;             // place in the sheet, 0..1
flat out vec4 bounds;    // of the thumbnail in the sheet, half a texel inside
flat out float border;   // pixels of the frame
flat out float layer;
flat out float lod;
flat out vec3 ring1;     // colour of the frame
flat out vec3 ring2;     // colour of what lies around the frame
flat out float strength; // 1, and less if dimmed

void main() {
  float number = float(gl_VertexID / 4); // of the plate
  vec2 corner = vec2(gl_VertexID & 1, (gl_VertexID >> 1) & 1);
  vec2 thumbnail = vec2(wide, high);
  int flags = int(look.a + 0.5);
  ring1 = (flags & 8) != 0 ? look.rgb / 255.0 : line;
  ring2 = (flags & 1) != 0 ? accent : mix(ground, accent, 0.75);
  strength = (flags & 2) != 0 ? 0.14 : 1.0;
  float longer = max(thumbnail.x, thumbnail.y);
  vec2 shape = longer > 0.0 ? thumbnail / longer : vec2(0.75, 1.0);
  bool isRaised = (flags & 4) != 0;
  extent = floor(max(vec2(2.0), shape * sizePx * (isRaised ? 1.12 : 1.0)) + 0.5);
  vec2 place = mix(start, end, progress) * view.x + view.yz;
  bool isRinged = (flags & 5) != 0;
  border = (flags & 8) != 0 ? framePx : 1.0;
  float around = border + (isRinged ? 3.0 : 0.0);
  at = corner * (extent + 2.0 * around) - around;
  vec2 px = floor(place - extent / 2.0 + 0.5) + at;
  vec2 clip = px / viewport * 2.0 - 1.0;
  // The first plates are in front and are drawn first, so that what they hide is never computed.
  float depth = (isRaised ? 0.0 : (flags & 1) != 0 ? 0.2 : (flags & 2) != 0 ? 0.6 : 0.4) + 0.19 * number / count;
  gl_Position = vec4(clip.x, -clip.y, depth, 1.0);
  layer = floor(number / sheet.z);
  float cell = number - layer * sheet.z;
  vec2 corner0 = vec2(mod(cell, sheet.y), floor(cell / sheet.y)) * sheet.x;
  lod = floor(clamp(log2(max(1.0, longer / max(extent.x, extent.y))) + 0.4, 0.0, mostLod));
  vec2 first = corner0 + (sheet.x - thumbnail) / 2.0;
  uv = (first + at / extent * thumbnail) / sheet.w;
  vec2 inset = min(vec2(0.5 * exp2(lod)), thumbnail / 2.0);
  bounds = vec4(first + inset, first + thumbnail - inset) / sheet.w;
  if (longer == 0.0) layer = -1.0;
}`;

export const FRAGMENT = `#version 300 es
precision highp float;
precision highp sampler2DArray;
in vec2 at;
in vec2 uv;
flat in vec2 extent;
flat in vec4 bounds;
flat in float border;
flat in float layer;
flat in float lod;
flat in vec3 ring1;
flat in vec3 ring2;
flat in float strength;
uniform sampler2DArray sheets;
uniform vec3 ground;
uniform vec3 blank;
out vec4 colour;

void main() {
  vec2 outside = max(-at, at - extent);
  float away = max(outside.x, outside.y);
  vec3 shown;
  if (away <= 0.0) {
    // A sheet that is not loaded yet is transparent.
    vec4 found = layer < 0.0 ? vec4(0.0) : textureLod(sheets, vec3(clamp(uv, bounds.xy, bounds.zw), layer), lod);
    shown = found.a > 0.5 ? found.rgb : blank;
  } else {
    shown = away <= border ? ring1 : away <= border + 1.0 ? ground : ring2;
  }
  colour = vec4(mix(ground, shown, strength), 1.0);
}`;
