/** The two programs of the map on the graphics card: where a thumbnail lies, and what is seen of it. */
export const VERTEX = `#version 300 es
precision highp float;
in vec2 corner;    // of the quad, 0..1
in vec2 start;     // place in the arrangement before, in its units
in vec2 end;       // place now
in vec2 thumbnail; // pixels in the sheet; 0 without one
in vec4 look;      // red, green, blue of the frame; flags
in float number;   // of the plate
uniform vec2 viewport;   // pixels
uniform vec3 view;       // pixels per unit, and pixels of the middle
uniform float progress;  // 0 at the start, 1 at the end
uniform float sizePx;    // longer side of a thumbnail
uniform float framePx;
uniform vec4 sheet;      // cell in pixels, columns, cells of a sheet, pixels of a sheet
uniform float mostLod;
uniform float count;     // plates
out vec2 at;             // pixels from the thumbnail's upper left corner
flat out vec2 extent;    // pixels of the thumbnail
flat out vec4 texels;    // where it is in its sheet: left, top, width, height
flat out float border;   // pixels of the frame
flat out float layer;
flat out float lod;
flat out vec3 frame;
flat out int flags;

void main() {
  flags = int(look.a + 0.5);
  frame = look.rgb / 255.0;
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
  texels = vec4(corner0 + (sheet.x - thumbnail) / 2.0, thumbnail);
  lod = floor(clamp(log2(max(1.0, longer / max(extent.x, extent.y))) + 0.4, 0.0, mostLod));
}`;

export const FRAGMENT = `#version 300 es
precision highp float;
precision highp sampler2DArray;
in vec2 at;
flat in vec2 extent;
flat in vec4 texels;
flat in float border;
flat in float layer;
flat in float lod;
flat in vec3 frame;
flat in int flags;
uniform sampler2DArray sheets;
uniform vec4 sheet;
uniform vec3 ground;
uniform vec3 line;
uniform vec3 accent;
out vec4 colour;

void main() {
  bool isSelected = (flags & 1) != 0;
  bool isDim = (flags & 2) != 0;
  bool isColoured = (flags & 8) != 0;
  vec2 outside = max(max(-at, at - extent), 0.0);
  float away = max(outside.x, outside.y);
  vec3 shown;
  if (away <= 0.0) {
    shown = mix(ground, line, 0.5);
    if (texels.z > 0.0) {
      float inset = 0.5 * exp2(lod);
      vec2 texel = clamp(at / extent * texels.zw, vec2(min(inset, texels.z / 2.0), min(inset, texels.w / 2.0)),
                         max(texels.zw - inset, texels.zw / 2.0));
      vec4 found = textureLod(sheets, vec3((texels.xy + texel) / sheet.w, layer), lod);
      shown = mix(shown, found.rgb / max(found.a, 0.001), step(0.5, found.a));
    }
  } else if (away <= border) {
    shown = isColoured ? frame : line;
  } else {
    shown = away <= border + 1.0 ? ground : isSelected ? accent : mix(ground, accent, 0.75);
  }
  colour = vec4(isDim ? mix(ground, shown, 0.14) : shown, 1.0);
}`;
