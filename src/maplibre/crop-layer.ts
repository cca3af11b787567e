import { MESH_EXTENT, type TileMesh } from "./tile-mesh.js";

/** What a crop layer shows. A field's value is 0 where there is nothing to show. */
export type CropView =
  /** The crops of a year: value 1 + crop code. */
  | { readonly kind: "year"; readonly year: number }
  /** The fields alone: value 1. */
  | { readonly kind: "fields" }
  /** Two years: value 1 for the same crop, 2 for another one; 0 if a year has no crop. */
  | { readonly kind: "change"; readonly from: number; readonly to: number }
  /** Number of different crops in these years. */
  | { readonly kind: "variety"; readonly years: readonly number[] };

export interface CropLayerStyle {
  /** Color of a value of a view, `#rrggbb`; undefined draws nothing. */
  readonly color: (value: number, view: CropView) => string | undefined;
  /** Whether fields of this value are hatched. */
  readonly hatched?: (value: number, view: CropView) => boolean;
  /** From this zoom on; 0 by default. */
  readonly hatchZoom?: number;
}

/** A field on the map. */
export interface CropFeature {
  readonly row: number;
  /** Hectares; undefined if unknown. */
  readonly areaHa: number | undefined;
  /** By year that is loaded; undefined for no crop. */
  readonly codeOf: (year: number) => number | undefined;
}

/** A field by a place inside it. */
export interface CropPlace extends CropFeature {
  readonly lng: number;
  readonly lat: number;
}

interface TileId {
  readonly wrap: number;
  readonly overscaledZ: number;
  readonly canonical: { readonly z: number; readonly x: number; readonly y: number };
  scaledTo(z: number): TileId;
  toUnwrapped(): unknown;
}

/** The part of a MapLibre map that a crop layer needs. */
export interface CropLayerMap {
  coveringTiles(options: { tileSize: number; minzoom: number; maxzoom: number }): unknown[];
  triggerRepaint(): void;
  getZoom(): number;
  fire(event: never): unknown;
  unproject(point: [number, number]): { lng: number; lat: number };
  getBounds(): { contains(place: [number, number]): boolean };
  once(event: "render", listener: () => void): unknown;
}

interface RenderInput {
  getProjectionData(parameters: { tileID: unknown }): { mainMatrix: ArrayLike<number> };
}

/** Where a layer's tiles come from. */
export interface CropLayerTiles {
  readonly minzoom: number;
  readonly maxzoom: number;
  /** west, south, east, north in degrees. */
  readonly bounds: readonly [number, number, number, number];
  mesh(at: { z: number; x: number; y: number }, signal: AbortSignal): Promise<TileMesh | undefined>;
  /** By feature 1 + its code, 0 for none. */
  codes(year: number, at: { z: number; x: number; y: number }, signal: AbortSignal): Promise<Uint16Array | undefined>;
}

interface LayerTile {
  readonly at: { readonly z: number; readonly x: number; readonly y: number };
  readonly abort: AbortController;
  /** Null where the base has no tile, or it failed. */
  mesh: TileMesh | null | undefined;
  /** By year; null while they are loading. */
  readonly codes: Map<number, Uint16Array | null>;
  buffers?: { readonly vertices: WebGLVertexArrayObject; readonly all: readonly WebGLBuffer[] };
  /** Values of the first and of the second view, and which views these are. */
  readonly values: { texture?: WebGLTexture; of?: CropView }[];
}

type Uniforms = Readonly<Record<"matrix" | "values" | "palette" | "pixels", WebGLUniformLocation | null>>;

/** Fields per line of a texture of values. */
const LINE = 512;
/** Tiles that are kept when they left the screen. */
const KEPT_TILES = 48;
const TILE_SIZE = 512;
/** Alpha of a color that is hatched. */
const HATCHED = 254;

const VERTEX = `#version 300 es
precision highp float;
precision highp usampler2D;
uniform mat4 u_matrix;
uniform usampler2D u_values;
uniform sampler2D u_palette;
in vec2 a_position;
in uint a_owner;
out vec2 v_position;
flat out vec4 v_color;
void main() {
  uint value = texelFetch(u_values, ivec2(int(a_owner & ${LINE - 1}u), int(a_owner / ${LINE}u)), 0).r;
  v_color = texelFetch(u_palette, ivec2(int(value & 255u), int(value >> 8)), 0);
  v_position = a_position;
  gl_Position = u_matrix * vec4(a_position, 0.0, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
uniform float u_pixels;
in vec2 v_position;
flat in vec4 v_color;
out vec4 color;
void main() {
  if (v_color.a == 0.0 || any(lessThan(v_position, vec2(0.0))) || any(greaterThanEqual(v_position, vec2(${MESH_EXTENT}.0)))) discard;
  bool hatched = v_color.a < 0.999 && u_pixels > 0.0 && mod(floor((v_position.x + v_position.y) * u_pixels), 8.0) < 2.0;
  color = vec4(v_color.rgb * (hatched ? 0.41 : 1.0), 1.0);
}`;

/**
 * A MapLibre layer that draws fields from columns. Geometry goes to the graphics card once; another year, another coloring
 * or a comparison changes one number per field, so that it takes one frame. For maps in Web Mercator.
 */
export class CropLayer {
  readonly type = "custom";
  readonly renderingMode = "2d";
  readonly #tiles = new Map<string, LayerTile>();
  /** Values that occurred, to have their colors. */
  readonly #seen = new Uint8Array(65_536);
  #map: CropLayerMap | undefined;
  #gl: WebGL2RenderingContext | undefined;
  #program: WebGLProgram | undefined;
  #uniforms: Uniforms | undefined;
  #palette: WebGLTexture | undefined;
  #isPaletteOld = true;
  #views: readonly CropView[] = [];
  #split = 1;
  #visible = true;
  #ahead: readonly number[] = [];
  #wish: { readonly views: readonly CropView[]; readonly done: (isShown: boolean) => void } | undefined;

  constructor(
    readonly id: string,
    private readonly source: CropLayerTiles,
    private style: CropLayerStyle,
  ) {}

  /**
   * Show a view, or two of them side by side. The change is drawn at once for the whole screen, when all its codes are there.
   *
   * @returns false if another view was requested before.
   */
  show(first: CropView, second?: CropView): Promise<boolean> {
    this.#wish?.done(false);
    const views = second === undefined ? [first] : [first, second];
    if (this.#views.length === 0) this.#views = views;
    const shown = new Promise<boolean>((done) => {
      this.#wish = { views, done };
    });
    this.#advance();
    this.#map?.triggerRepaint();
    return shown;
  }

  setStyle(style: CropLayerStyle): void {
    this.style = style;
    this.#isPaletteOld = true;
    this.#map?.triggerRepaint();
  }

  /** Where the second view begins: 0 is the left side of the map, 1 the right. */
  setSplit(share: number): void {
    this.#split = share;
    this.#map?.triggerRepaint();
  }

  setVisible(visible: boolean): void {
    this.#visible = visible;
    this.#map?.triggerRepaint();
  }

  /** Load the codes of these years too, for the tiles on the screen. */
  loadAhead(years: readonly number[]): void {
    this.#ahead = years;
    this.#advance();
  }

  /** Load a year again, because its column was replaced. */
  reload(year: number): void {
    for (const { codes, values } of this.#tiles.values()) {
      codes.delete(year);
      for (const slot of values) delete slot.of;
    }
    this.#arrived();
  }

  /** Whether everything on the screen is drawn. */
  get loaded(): boolean {
    return this.#wish === undefined && this.#cover().every(({ tile }) => this.#isReady(tile, this.#views));
  }

  onAdd(map: CropLayerMap, gl: WebGL2RenderingContext): void {
    this.#map = map;
    this.#gl = gl;
    this.#program = link(gl);
    const uniform = (name: string) => gl.getUniformLocation(this.#program as WebGLProgram, name);
    this.#uniforms = {
      matrix: uniform("u_matrix"),
      values: uniform("u_values"),
      palette: uniform("u_palette"),
      pixels: uniform("u_pixels"),
    };
    this.#palette = gl.createTexture();
    this.#isPaletteOld = true;
    this.#advance();
  }

  onRemove(): void {
    this.#wish?.done(false);
    this.#wish = undefined;
    for (const tile of this.#tiles.values()) this.#release(tile);
    this.#tiles.clear();
    const gl = this.#gl;
    gl?.deleteProgram(this.#program ?? null);
    gl?.deleteTexture(this.#palette ?? null);
    this.#map = undefined;
    this.#gl = undefined;
  }

  render(gl: WebGL2RenderingContext, input: RenderInput): void {
    this.#advance();
    if (!this.#visible || this.#views.length === 0 || this.#program === undefined) return;
    const cover = this.#cover();
    const drawn = this.#drawn(cover);
    for (const { tile } of drawn) for (const [side, view] of this.#views.entries()) this.#upload(gl, tile, view, side);
    this.#uploadPalette(gl);
    gl.useProgram(this.#program);
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.STENCIL_TEST);
    gl.disable(gl.CULL_FACE);
    gl.disable(gl.BLEND);
    const { matrix, values, palette, pixels } = this.#uniforms as Uniforms;
    gl.uniform1i(values, 0);
    gl.uniform1i(palette, 1);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.#palette as WebGLTexture);
    gl.activeTexture(gl.TEXTURE0);
    const zoom = this.#map?.getZoom() ?? 0;
    const width = gl.drawingBufferWidth;
    const edge = Math.round(width * this.#split);
    for (const [side] of this.#views.entries()) {
      if (this.#views.length > 1) {
        gl.enable(gl.SCISSOR_TEST);
        if (side === 0) gl.scissor(0, 0, edge, gl.drawingBufferHeight);
        else gl.scissor(edge, 0, width - edge, gl.drawingBufferHeight);
      }
      for (const { id, tile } of drawn) {
        const texture = tile.values[side]?.texture;
        if (!tile.mesh || texture === undefined) continue;
        gl.uniformMatrix4fv(
          matrix,
          false,
          Float32Array.from(input.getProjectionData({ tileID: id.toUnwrapped() }).mainMatrix),
        );
        const hatch = zoom >= (this.style.hatchZoom ?? 0);
        gl.uniform1f(pixels, hatch ? (TILE_SIZE * 2 ** (zoom - tile.at.z)) / MESH_EXTENT : 0);
        gl.bindTexture(gl.TEXTURE_2D, texture);
        gl.bindVertexArray(this.#buffers(gl, tile, tile.mesh));
        gl.drawElements(gl.TRIANGLES, tile.mesh.triangles.length, gl.UNSIGNED_INT, 0);
      }
    }
    gl.disable(gl.SCISSOR_TEST);
    gl.bindVertexArray(null);
    this.#forget(drawn);
  }

  /** The field at a point of the map in CSS pixels. */
  featureAt(point: [number, number]): CropFeature | undefined {
    if (this.#map === undefined) return undefined;
    const { lng, lat } = this.#map.unproject(point);
    const [east, south] = mercator(lng, lat);
    // The most detailed tile is on top.
    for (const { tile } of this.#drawn(this.#cover()).reverse()) {
      const { z, x, y } = tile.at;
      const [px, py] = [(east * 2 ** z - x) * MESH_EXTENT, (south * 2 ** z - y) * MESH_EXTENT];
      if (!tile.mesh || px < 0 || py < 0 || px >= MESH_EXTENT || py >= MESH_EXTENT) continue;
      const found = polygonAt(tile.mesh, px, py);
      if (found !== undefined) return featureOf(tile, tile.mesh, tile.mesh.first + found);
    }
    return undefined;
  }

  /** Fields whose centroid is on the screen, each once. */
  featuresOnScreen(): CropPlace[] {
    const found = new Map<number, CropPlace>();
    const bounds = this.#map?.getBounds();
    for (const { tile } of this.#cover()) {
      if (!tile.mesh || bounds === undefined) continue;
      const { pointFeatures, points } = tile.mesh;
      for (let i = 0; i < pointFeatures.length; i++) {
        const { z, x, y } = tile.at;
        const [px, py] = [points[2 * i] as number, points[2 * i + 1] as number];
        const [lng, lat] = degrees((x + px / MESH_EXTENT) / 2 ** z, (y + py / MESH_EXTENT) / 2 ** z);
        if (!bounds.contains([lng, lat])) continue;
        const feature = featureOf(tile, tile.mesh, pointFeatures[i] as number);
        found.set(feature.row, { ...feature, lng, lat });
      }
    }
    return [...found.values()];
  }

  /** Tiles that cover the screen, with requests for those that are not there. */
  #cover(): { readonly id: TileId; readonly tile: LayerTile }[] {
    const { minzoom, maxzoom, bounds } = this.source;
    if (this.#map === undefined) return [];
    const [west, north] = mercator(bounds[0], bounds[3]);
    const [east, south] = mercator(bounds[2], bounds[1]);
    const ids = this.#map.coveringTiles({ tileSize: TILE_SIZE, minzoom, maxzoom }) as TileId[];
    return ids
      .filter(({ canonical: { z, x, y } }) => {
        const side = 2 ** z;
        return x + 1 > west * side && x < east * side && y + 1 > north * side && y < south * side;
      })
      .map((id) => ({ id, tile: this.#tile(id.canonical) }));
  }

  #tile(at: { readonly z: number; readonly x: number; readonly y: number }): LayerTile {
    const key = `${at.z}/${at.x}/${at.y}`;
    let tile = this.#tiles.get(key);
    if (tile === undefined) {
      const { z, x, y } = at;
      tile = { at: { z, x, y }, abort: new AbortController(), mesh: undefined, codes: new Map(), values: [{}, {}] };
      const made = tile;
      this.source.mesh(made.at, made.abort.signal).then(
        (mesh) => {
          made.mesh = mesh ?? null;
          this.#arrived();
        },
        (error: unknown) => this.#failed(made, error, () => (made.mesh = null)),
      );
    }
    // The newest is the last.
    this.#tiles.delete(key);
    this.#tiles.set(key, tile);
    return tile;
  }

  #arrived(): void {
    this.#map?.triggerRepaint();
  }

  #failed(tile: LayerTile, error: unknown, settle: () => void): void {
    if (tile.abort.signal.aborted) return;
    settle();
    this.#map?.fire({ type: "error", error } as never);
    this.#arrived();
  }

  /** Request codes that are missing, and show the requested view once they are there. */
  #advance(): void {
    if (this.#map === undefined || !(this.#visible || this.#wish)) return;
    const cover = this.#cover();
    const years = new Set([...this.#views, ...(this.#wish?.views ?? [])].flatMap(yearsOf));
    for (const year of this.#ahead) years.add(year);
    for (const { tile } of cover) {
      for (const year of years) if (!tile.codes.has(year)) this.#loadCodes(tile, year);
    }
    const wish = this.#wish;
    if (wish === undefined || !cover.every(({ tile }) => this.#isReady(tile, wish.views))) return;
    if (wish.views[0]?.kind !== this.#views[0]?.kind) this.#isPaletteOld = true;
    this.#views = wish.views;
    this.#wish = undefined;
    this.#map.once("render", () => wish.done(true));
    this.#map.triggerRepaint();
  }

  #loadCodes(tile: LayerTile, year: number): void {
    tile.codes.set(year, null);
    const none = new Uint16Array(0);
    this.source.codes(year, tile.at, tile.abort.signal).then(
      (codes) => {
        tile.codes.set(year, codes ?? none);
        this.#arrived();
      },
      (error: unknown) => this.#failed(tile, error, () => tile.codes.set(year, none)),
    );
  }

  #isReady({ mesh, codes }: LayerTile, views: readonly CropView[]): boolean {
    if (mesh === null) return true;
    return mesh !== undefined && views.flatMap(yearsOf).every((year) => codes.get(year) instanceof Uint16Array);
  }

  /** Tiles to draw, from bottom to top: where one is missing, the next larger one or its parts. */
  #drawn(
    cover: readonly { readonly id: TileId; readonly tile: LayerTile }[],
  ): { readonly id: TileId; readonly tile: LayerTile }[] {
    const drawn = new Map<LayerTile, TileId>();
    for (const { id, tile } of cover) {
      if (this.#isReady(tile, this.#views)) {
        drawn.set(tile, id);
        continue;
      }
      for (let z = tile.at.z - 1; z >= this.source.minzoom; z--) {
        const above = id.scaledTo(z);
        const { x, y } = above.canonical;
        const known = this.#tiles.get(`${z}/${x}/${y}`);
        if (known === undefined || !this.#isReady(known, this.#views)) continue;
        drawn.set(known, above);
        break;
      }
    }
    return [...drawn].map(([tile, id]) => ({ id, tile })).sort((a, b) => a.tile.at.z - b.tile.at.z);
  }

  #buffers(gl: WebGL2RenderingContext, tile: LayerTile, mesh: TileMesh): WebGLVertexArrayObject {
    if (tile.buffers !== undefined) return tile.buffers.vertices;
    const vertices = gl.createVertexArray();
    gl.bindVertexArray(vertices);
    const buffer = (target: number, data: ArrayBufferView<ArrayBuffer>) => {
      const made = gl.createBuffer();
      gl.bindBuffer(target, made);
      gl.bufferData(target, data, gl.STATIC_DRAW);
      return made;
    };
    const program = this.#program as WebGLProgram;
    const positions = buffer(gl.ARRAY_BUFFER, mesh.positions as Int16Array<ArrayBuffer>);
    const position = gl.getAttribLocation(program, "a_position");
    gl.enableVertexAttribArray(position);
    gl.vertexAttribPointer(position, 2, gl.SHORT, false, 0, 0);
    const owners = buffer(gl.ARRAY_BUFFER, mesh.owners as Uint32Array<ArrayBuffer>);
    const owner = gl.getAttribLocation(program, "a_owner");
    gl.enableVertexAttribArray(owner);
    gl.vertexAttribIPointer(owner, 1, gl.UNSIGNED_INT, 0, 0);
    const triangles = buffer(gl.ELEMENT_ARRAY_BUFFER, mesh.triangles as Uint32Array<ArrayBuffer>);
    tile.buffers = { vertices, all: [positions, owners, triangles] };
    return vertices;
  }

  #upload(gl: WebGL2RenderingContext, tile: LayerTile, view: CropView, side: number): void {
    const slot = tile.values[side] as LayerTile["values"][number];
    if (!tile.mesh || slot.of === view || !this.#isReady(tile, [view])) return;
    const { first, count } = tile.mesh;
    const lines = Math.max(1, Math.ceil(count / LINE));
    const values = valuesOf(view, tile.codes, first, count, LINE * lines);
    for (const value of values) {
      if (this.#seen[value] === 1) continue;
      this.#seen[value] = 1;
      this.#isPaletteOld = true;
    }
    slot.texture ??= gl.createTexture();
    slot.of = view;
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, slot.texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R16UI, LINE, lines, 0, gl.RED_INTEGER, gl.UNSIGNED_SHORT, values);
    nearest(gl);
  }

  #uploadPalette(gl: WebGL2RenderingContext): void {
    if (!this.#isPaletteOld) return;
    this.#isPaletteOld = false;
    const colors = new Uint8Array(4 * 65_536);
    const [view] = this.#views as [CropView];
    for (let value = 1; value < 65_536; value++) {
      const color = this.#seen[value] === 1 ? this.style.color(value, view) : undefined;
      if (color === undefined) continue;
      const bits = Number.parseInt(color.slice(1, 7), 16);
      colors.set(
        [bits >> 16, (bits >> 8) & 255, bits & 255, this.style.hatched?.(value, view) ? HATCHED : 255],
        4 * value,
      );
    }
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.#palette as WebGLTexture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, 256, 0, gl.RGBA, gl.UNSIGNED_BYTE, colors);
    nearest(gl);
  }

  #forget(drawn: readonly { readonly tile: LayerTile }[]): void {
    const kept = new Set(drawn.map(({ tile }) => tile));
    for (const { tile } of this.#cover()) kept.add(tile);
    for (const [key, tile] of this.#tiles) {
      if (this.#tiles.size <= KEPT_TILES + kept.size) return;
      if (kept.has(tile)) continue;
      this.#tiles.delete(key);
      this.#release(tile);
    }
  }

  #release({ abort, buffers, values }: LayerTile): void {
    abort.abort();
    const gl = this.#gl;
    if (gl === undefined) return;
    gl.deleteVertexArray(buffers?.vertices ?? null);
    for (const buffer of buffers?.all ?? []) gl.deleteBuffer(buffer);
    for (const { texture } of values) gl.deleteTexture(texture ?? null);
  }
}

function yearsOf(view: CropView): readonly number[] {
  if (view.kind === "year") return [view.year];
  if (view.kind === "change") return [view.from, view.to];
  return view.kind === "variety" ? view.years : [];
}

/** @returns the values of `count` features from `first`, then zeros up to `length`. */
function valuesOf(
  view: CropView,
  codes: ReadonlyMap<number, Uint16Array | null>,
  first: number,
  count: number,
  length: number,
): Uint16Array<ArrayBuffer> {
  const values = new Uint16Array(length);
  // A year that failed has no codes.
  const columns = yearsOf(view).map((year) => codes.get(year)?.subarray(first, first + count) ?? new Uint16Array(0));
  if (view.kind === "fields") values.fill(1, 0, count);
  else if (view.kind === "year") values.set(columns[0] as Uint16Array);
  else if (view.kind === "change") {
    const [from, to] = columns as [Uint16Array, Uint16Array];
    for (let f = 0; f < Math.min(from.length, to.length); f++) {
      if (from[f] !== 0 && to[f] !== 0) values[f] = from[f] === to[f] ? 1 : 2;
    }
  } else {
    const different: number[] = [];
    for (let f = 0; f < count; f++) {
      different.length = 0;
      for (const column of columns) {
        const code = column[f] ?? 0;
        if (code !== 0 && !different.includes(code)) different.push(code);
      }
      values[f] = different.length;
    }
  }
  return values;
}

/** The last polygon that contains a point, because it is drawn above the others. */
function polygonAt({ count, boxes, starts, positions, triangles }: TileMesh, x: number, y: number): number | undefined {
  for (let f = count - 1; f >= 0; f--) {
    const b = 4 * f;
    if (x < (boxes[b] as number) || x > (boxes[b + 2] as number)) continue;
    if (y < (boxes[b + 1] as number) || y > (boxes[b + 3] as number)) continue;
    for (let t = starts[f] as number; t < (starts[f + 1] as number); t += 3) {
      const side = (from: number, to: number) => {
        const [i, j] = [2 * (triangles[t + from] as number), 2 * (triangles[t + to] as number)];
        const [ax, ay] = [positions[i] as number, positions[i + 1] as number];
        return ((positions[j] as number) - ax) * (y - ay) - ((positions[j + 1] as number) - ay) * (x - ax);
      };
      const [a, c, d] = [side(0, 1), side(1, 2), side(2, 0)];
      if ((a >= 0 && c >= 0 && d >= 0) || (a <= 0 && c <= 0 && d <= 0)) return f;
    }
  }
  return undefined;
}

function featureOf({ codes }: LayerTile, { ids, areas }: TileMesh, feature: number): CropFeature {
  const area = areas[feature] as number;
  return {
    row: ids[feature] as number,
    areaHa: Number.isNaN(area) ? undefined : area,
    codeOf: (year) => {
      const value = codes.get(year)?.[feature] ?? 0;
      return value === 0 ? undefined : value - 1;
    },
  };
}

/** Position in the Web Mercator square, from 0 to 1, from the northwest. */
function mercator(lng: number, lat: number): [number, number] {
  const down = 0.5 - Math.asinh(Math.tan((lat * Math.PI) / 180)) / (2 * Math.PI);
  return [(lng + 180) / 360, down];
}

function degrees(east: number, south: number): [number, number] {
  return [east * 360 - 180, (Math.atan(Math.sinh(Math.PI * (1 - 2 * south))) * 180) / Math.PI];
}

function nearest(gl: WebGL2RenderingContext): void {
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
}

function link(gl: WebGL2RenderingContext): WebGLProgram {
  const program = gl.createProgram();
  for (const [type, text] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ] as const) {
    const shader = gl.createShader(type) as WebGLShader;
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
    gl.deleteShader(shader);
  }
  gl.linkProgram(program);
  if (gl.getProgramParameter(program, gl.LINK_STATUS) !== true && !gl.isContextLost()) {
    throw new Error(`the crop layer's shaders cannot be used: ${gl.getProgramInfoLog(program)}`);
  }
  return program;
}
