/* gansmith's engine: a trained generator without a network, a server or a library. Load it as a plain script.
 *
 *   const g = Gansmith(GANSMITH_MODEL)
 *   g.generate(g.latent(seed, index), label)   // ImageData of g.size x g.size pixels: ctx.putImageData(..., 0, 0)
 *   g.generate(z, label)                       // z: g.noise.size numbers
 *
 * Image `index` of `seed` is the one that `gansmith sample` makes.
 */
"use strict";
function Gansmith(model) {
  const noise = model.noise, side = model.size, channels = model.channels;
  function bytes(text) {
    const letters = atob(text), found = new Uint8Array(letters.length);
    for (let i = 0; i < found.length; i++) found[i] = letters.charCodeAt(i);
    return found;
  }
  const up = (value, to) => Math.ceil(value / to) * to;
  const product = (shape) => shape.reduce((a, b) => a * b, 1);

  // Weights: float32, or float16 unpacked.
  const floats = (() => {
    const raw = bytes(model.weights);
    if (model.dtype === "float32") return new Float32Array(raw.buffer);
    const halves = new Uint16Array(raw.buffer), values = new Float32Array(65536);
    for (let bits = 0; bits < 65536; bits++) {
      const sign = bits & 0x8000 ? -1 : 1, power = (bits >> 10) & 31, fraction = bits & 1023;
      values[bits] = sign * (power ? 2 ** (power - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
    }
    const all = new Float32Array(halves.length);
    for (let i = 0; i < all.length; i++) all[i] = values[halves[i]];
    return all;
  })();
  const tensors = [];
  for (let index = 0, at = 0; index < model.tensors.length; index++) {
    const length = product(model.tensors[index]);
    tensors.push(floats.subarray(at, (at += length)));
  }

  // Noise: Philox 4x64, ten rounds, as NumPy has it; row `index` begins at a place of its own.
  const MASK = (1n << 64n) - 1n;
  function philox(counter, key0, key1) {
    let [a, b, c, d] = [counter & MASK, counter >> 64n, 0n, 0n];
    for (let round = 0; round < 10; round++) {
      const first = 0xd2e7470ee14c6c93n * a, second = 0xca5a826395121157n * c;
      [a, b, c, d] = [(second >> 64n) ^ b ^ key0, second & MASK, (first >> 64n) ^ d ^ key1, first & MASK];
      key0 = (key0 + 0x9e3779b97f4a7c15n) & MASK;
      key1 = (key1 + 0xbb67ae8584caa73bn) & MASK;
    }
    return [a, b, c, d];
  }
  const polynomial = (x, terms) => terms.reduce((sum, term) => sum * x + term, 0);
  function normal(share) { // the inverse of the normal distribution function (Cephes' ndtri, which PyTorch uses too)
    const upper = share > 1 - 0.13533528323661269189, y = upper ? 1 - share : share;
    if (y > 0.13533528323661269189) {
      const x = y - 0.5, square = x * x;
      const above = polynomial(square, [-59.9633501014107895267, 98.0010754185999661536, -56.6762857469070293439,
        13.9312609387279679503, -1.23916583867381258016]);
      const below = polynomial(square, [1, 1.95448858338141759834, 4.67627912898881538453, 86.3602421390890590575,
        -225.462687854119370527, 200.260212380060660359, -82.0372256168333339912, 15.9056225126211695515,
        -1.18331621121330003142]);
      return (x + x * ((square * above) / below)) * 2.50662827463100050242;
    }
    const x = Math.sqrt(-2 * Math.log(y)), z = 1 / x;
    const [above, below] = x < 8
      ? [[4.05544892305962419923, 31.5251094599893866154, 57.1628192246421288162, 44.0805073893200834700,
        14.6849561928858024014, 2.18663306850790267539, -0.140256079171354495875, -0.0350424626827848203418,
        -0.000857456785154685413611],
      [1, 15.7799883256466749731, 45.3907635128879210584, 41.3172038254672030440, 15.0425385692907503408,
        2.50464946208309415979, -0.142182922854787788574, -0.0380806407691578277194, -0.000933259480895457427372]]
      : [[3.23774891776946035970, 6.91522889068984211695, 3.93881025292474443415, 1.33303460815807542389,
        0.201485389549179081538, 0.0123716634817820021358, 0.000301581553508235416007, 2.65806974686737550832e-6,
        6.23974539184983293730e-9],
      [1, 6.02427039364742014255, 3.67983563856160859403, 1.37702099489081330271, 0.216236993594496635890,
        0.0134204006088543189037, 0.000328014464682127739104, 2.89247864745380683936e-6, 6.79019408009981274425e-9]];
    const value = x - Math.log(x) / x - (z * polynomial(z, above)) / polynomial(z, below);
    return upper ? value : -value;
  }
  function latent(seed, index) {
    const z = new Float32Array(noise.size), blocks = Math.ceil(noise.size / 4), key = BigInt(seed);
    for (let block = 0, at = 0; block < blocks; block++) {
      const words = philox(BigInt(index) * BigInt(blocks) + BigInt(block) + 1n, key & MASK, key >> 64n);
      for (const word of words) {
        if (at === noise.size) break;
        const share = Number(word >> 11n) * 2 ** -53 + 2 ** -54;
        z[at++] = noise.center + noise.scale * (noise.distribution === "uniform" ? 2 * share - 1 : normal(share));
      }
    }
    return z;
  }

  // What the generator is told beside the noise: a class, a kind, or both, as one number.
  const orders = model.orders ? new Uint16Array(bytes(model.orders).buffer) : null;
  function label(index, chosen) { // of image `index`; chosen: a class, or null where all take turns
    if (!model.conditions) return null;
    if (model.made) return chosen === null || chosen === undefined ? index % model.kinds : chosen;
    const turns = chosen === null || chosen === undefined ? Math.max(1, model.turns) : 1;
    const known = turns === 1 ? (chosen || 0) : index % turns;
    if (!orders) return known;
    const rounds = orders.length / model.kinds, place = Math.floor(index / turns);
    return known * model.kinds + orders[(Math.floor(place / model.kinds) % rounds) * model.kinds + (place % model.kinds)];
  }
  const condition = model.operations.find((each) => each.op === "condition");
  const width = condition ? model.tensors[condition.table][1] : 0;
  const vector = (number) => tensors[condition.table].subarray(number * width, (number + 1) * width);

  // Products: WebAssembly with SIMD where there is any, else plain JavaScript; B lies in panels of 8 columns.
  let memory, view, gemm, simd = false;
  try {
    if (Gansmith.plain) throw new Error("plain");
    memory = new WebAssembly.Memory({ initial: 1 });
    gemm = new WebAssembly.Instance(new WebAssembly.Module(bytes(model.kernel)), { env: { memory } }).exports.gemm;
    simd = true;
  } catch (error) {
    memory = { buffer: new ArrayBuffer(65536), grow: (pages) => { memory.buffer = new ArrayBuffer(memory.buffer.byteLength + pages * 65536); } };
    gemm = (a, b, c, bias, rows, inner, columns) => slow(view, a / 4, b / 4, c / 4, bias / 4, rows, inner, columns);
  }
  function slow(v, a, b, c, bias, rows, inner, columns) {
    for (let n = 0; n < columns; n += 8) {
      for (let m = 0; m < rows; m++) {
        const q = bias + n, to = c + m * columns + n, end = b + n * inner + 8 * inner;
        let s0 = v[q], s1 = v[q + 1], s2 = v[q + 2], s3 = v[q + 3], s4 = v[q + 4], s5 = v[q + 5], s6 = v[q + 6], s7 = v[q + 7];
        for (let from = b + n * inner, at = a + m * inner; from < end; from += 8, at++) {
          const x = v[at];
          s0 += x * v[from]; s1 += x * v[from + 1]; s2 += x * v[from + 2]; s3 += x * v[from + 3];
          s4 += x * v[from + 4]; s5 += x * v[from + 5]; s6 += x * v[from + 6]; s7 += x * v[from + 7];
        }
        v[to] = s0; v[to + 1] = s1; v[to + 2] = s2; v[to + 3] = s3; v[to + 4] = s4; v[to + 5] = s5; v[to + 6] = s6; v[to + 7] = s7;
      }
    }
  }

  // The plan: every map, patch and weight has its place in memory, for up to BATCH images at once.
  const BATCH = model.batch;
  let top = 0;
  const fills = [];
  const place = (count) => { const at = top; top += up(count, 16); return at; };
  function matrix(values, inner, columns) { // -> panels of 8 columns
    const wide = up(columns, 8), at = place(inner * wide);
    fills.push(() => panels(view, at, values, inner, columns));
    return { at, inner, columns, wide };
  }
  function panels(v, at, values, inner, columns) {
    for (let first = 0; first < columns; first += 8) {
      const last = Math.min(first + 8, columns), to = at + first * inner;
      for (let k = 0; k < inner; k++) for (let n = first; n < last; n++) v[to + k * 8 + n - first] = values[k * columns + n];
    }
  }
  function row(values, length) {
    const at = place(up(length, 8));
    if (values) fills.push(() => view.set(values, at));
    return at;
  }
  const run = (a, b, c, bias, rows) => gemm(a * 4, b.at * 4, c * 4, bias * 4, up(rows, 4), b.inner, b.wide);
  const steps = [];
  const inputs = noise.size + width;
  const start = place(up(BATCH, 4) * inputs);
  let here = { at: start, h: 1, w: 1, c: inputs, flat: true };
  const size = (map) => map.h * map.w * map.c;
  const next = (h, w, c, flat = false) => ({ at: place(up(BATCH, 4) * h * w * c + 64 * c), h, w, c, flat });
  const same = (map) => next(map.h, map.w, map.c, map.flat); // a place of its own: a residual block needs its input
  const saved = [];
  for (const each of model.operations) {
    const from = here, w = each.w === undefined ? null : tensors[each.w], b = each.b === undefined ? null : tensors[each.b];
    if (each.op === "dense") {
      const columns = model.tensors[each.w][1], weights = matrix(w, size(from), columns), bias = row(b, columns);
      const wide = { at: place(up(BATCH, 4) * weights.wide) }, to = (here = next(1, 1, columns, true));
      steps.push((count) => {
        run(from.at, weights, wide.at, bias, count);
        scatter(view, wide.at, weights.wide, to.at, columns, count, columns);
      });
    } else if (each.op === "reshape") {
      const [c, h, v] = each.shape, to = (here = next(h, v, c));
      steps.push((count) => {
        for (let i = 0; i < count * size(to); i += size(to)) {
          for (let k = 0; k < c; k++) {
            for (let p = 0; p < h * v; p++) view[to.at + i + p * c + k] = view[from.at + i + k * h * v + p];
          }
        }
      });
    } else if (each.op === "conv") {
      const { k, pad, groups } = each, places = from.h * from.w, per = from.c / groups;
      const [, inner, columns] = model.tensors[each.w], all = columns * groups;
      const parts = [];
      for (let g = 0; g < groups; g++) {
        parts.push({ m: matrix(w.subarray(g * inner * columns, (g + 1) * inner * columns), inner, columns), b: row(b && b.subarray(g * columns, (g + 1) * columns), columns) });
      }
      const direct = k === 1 && groups === 1;
      const patches = direct ? 0 : place(up(places, 4) * inner), out = place(up(places, 4) * parts[0].m.wide);
      const to = (here = next(from.h, from.w, all));
      steps.push((count) => {
        for (let i = 0; i < count; i++) {
          const map = from.at + i * size(from), target = to.at + i * size(to);
          for (let g = 0; g < groups; g++) {
            const { m, b: bias } = parts[g], straight = groups === 1 && m.wide === columns; // the product is the map
            if (!direct) gather(view, map + g * per, from, per, k, pad, patches);
            run(direct ? map : patches, m, straight ? target : out, bias, places);
            if (!straight) scatter(view, out, m.wide, target + g * columns, all, places, columns);
          }
        }
      });
    } else if (each.op === "deconv") {
      const { k, stride, before, size: length } = each, places = from.h * from.w;
      const [inner, columns] = model.tensors[each.w], c = columns / (k * k), weights = matrix(w, inner, columns);
      const none = row(null, columns), patches = place(up(places, 4) * weights.wide), to = (here = next(length, length, c));
      steps.push((count) => {
        for (let i = 0; i < count; i++) {
          const target = to.at + i * size(to);
          for (let p = 0; p < length * length; p++) for (let o = 0; o < c; o++) view[target + p * c + o] = b ? b[o] : 0;
          run(from.at + i * size(from), weights, patches, none, places);
          for (let p = 0; p < places; p++) {
            const top0 = Math.floor(p / from.w) * stride - before, left = (p % from.w) * stride - before;
            for (let y = Math.max(0, -top0); y < k && top0 + y < length; y++) {
              for (let x = Math.max(0, -left); x < k && left + x < length; x++) {
                const read = patches + p * weights.wide + (y * k + x) * c, write = target + ((top0 + y) * length + left + x) * c;
                for (let o = 0; o < c; o++) view[write + o] += view[read + o];
              }
            }
          }
        }
      });
    } else if (each.op === "affine") {
      const scale = tensors[each.scale], shift = tensors[each.shift], to = (here = same(from));
      steps.push((count) => {
        for (let i = 0, end = count * size(from); i < end; i += from.c) {
          for (let o = 0; o < from.c; o++) view[to.at + i + o] = view[from.at + i + o] * scale[o] + shift[o];
        }
      });
    } else if (each.op === "leaky" || each.op === "tanh" || each.op === "sigmoid") {
      const to = (here = same(from)), function_ = { leaky, tanh, sigmoid }[each.op];
      steps.push((count) => function_(view, from.at, to.at, count * size(from), each.slope));
    } else if (each.op === "d2s") {
      const c = from.c / 4, to = (here = next(2 * from.h, 2 * from.w, c));
      steps.push((count) => {
        for (let i = 0; i < count; i++) {
          for (let y = 0; y < to.h; y++) {
            for (let x = 0; x < to.w; x++) {
              const read = from.at + i * size(from) + ((y >> 1) * from.w + (x >> 1)) * from.c + ((y & 1) * 2 + (x & 1)) * c;
              const write = to.at + i * size(to) + (y * to.w + x) * c;
              for (let o = 0; o < c; o++) view[write + o] = view[read + o];
            }
          }
        }
      });
    } else if (each.op === "double") {
      const { c } = from, to = (here = next(2 * from.h, 2 * from.w, c));
      steps.push((count) => {
        for (let i = 0; i < count; i++) {
          const map = from.at + i * size(from), read = (y, x, o) => (y < from.h && x < from.w ? view[map + (y * from.w + x) * c + o] : 0);
          for (let y = 0; y < to.h; y++) {
            for (let x = 0; x < to.w; x++) {
              const v = y >> 1, u = x >> 1, down = y & 1, right = x & 1, write = to.at + i * size(to) + (y * to.w + x) * c;
              for (let o = 0; o < c; o++) {
                const line = (r) => (right ? (read(r, u, o) + read(r, u + 1, o)) / 2 : read(r, u, o));
                view[write + o] = down ? (line(v) + line(v + 1)) / 2 : line(v);
              }
            }
          }
        }
      });
    } else if (each.op === "basis") {
      const [h, v, c] = model.tensors[each.w], to = (here = next(h, v, c));
      steps.push((count) => {
        for (let i = 0; i < count * size(to); i++) {
          const part = i % size(to), image = (i - part) / size(to);
          view[to.at + i] = w[part] * view[from.at + image * c + (part % c)];
        }
      });
    } else if (each.op === "crop") {
      const { c } = from, length = each.size;
      if (from.h === length && from.w === length) continue;
      const to = (here = next(length, length, c));
      steps.push((count) => {
        for (let i = 0; i < count; i++) {
          for (let y = 0; y < length; y++) {
            const read = from.at + i * size(from) + y * from.w * c;
            view.copyWithin(to.at + i * size(to) + y * length * c, read, read + length * c);
          }
        }
      });
    } else if (each.op === "save") {
      saved.push(from);
    } else if (each.op === "add") {
      const other = saved.pop();
      steps.push((count) => {
        for (let i = 0; i < count * size(from); i++) view[from.at + i] += view[other.at + i];
      });
    }
  }
  function gather(v, map, from, per, k, pad, patches) { // each place's k x k neighbours, zeros beyond the border
    const { h, w, c } = from;
    for (let y = 0, write = patches; y < h; y++) {
      for (let x = 0; x < w; x++) {
        for (let dy = y - pad; dy < y - pad + k; dy++) {
          for (let dx = x - pad; dx < x - pad + k; dx++) {
            const end = write + per;
            if (dy < 0 || dx < 0 || dy >= h || dx >= w) while (write < end) v[write++] = 0;
            else for (let read = map + (dy * w + dx) * c; write < end; ) v[write++] = v[read++];
          }
        }
      }
    }
  }
  function scatter(v, from, wide, to, all, rows, columns) { // rows of a product, without its spare columns
    for (let p = 0; p < rows; p++) {
      for (let o = 0, read = from + p * wide, write = to + p * all; o < columns; o++) v[write + o] = v[read + o];
    }
  }
  function leaky(v, from, to, count, slope) {
    for (let i = 0; i < count; i++) {
      const x = v[from + i];
      v[to + i] = x < 0 ? x * slope : x;
    }
  }
  function tanh(v, from, to, count) {
    for (let i = 0; i < count; i++) v[to + i] = Math.tanh(v[from + i]);
  }
  function sigmoid(v, from, to, count) {
    for (let i = 0; i < count; i++) v[to + i] = 1 / (1 + Math.exp(-v[from + i]));
  }
  memory.grow(Math.max(0, Math.ceil((top * 4 - memory.buffer.byteLength) / 65536)));
  view = new Float32Array(memory.buffer);
  for (const fill of fills) fill();
  fills.length = 0;

  /* Images of latents: Uint8Array (N, size, size, channels). labels: N numbers, or vectors of what the generator is told. */
  function images(latents, labels) {
    const pixels = side * side * channels, made = new Uint8Array(latents.length * pixels);
    const [black, white] = model.pixels, scale = 255 / (white - black);
    for (let first = 0; first < latents.length; first += BATCH) {
      const count = Math.min(BATCH, latents.length - first);
      for (let i = 0; i < count; i++) {
        view.set(latents[first + i], start + i * inputs);
        if (condition) {
          const told = labels ? labels[first + i] : label(first + i, null);
          view.set(typeof told === "number" ? vector(told) : told, start + i * inputs + noise.size);
        }
      }
      for (const step of steps) step(count);
      for (let i = 0; i < count * pixels; i++) {
        made[first * pixels + i] = Math.max(0, Math.min(255, Math.round((view[here.at + i] - black) * scale)));
      }
    }
    return made;
  }
  /* One image as ImageData, for a canvas. */
  function generate(z, told = 0) {
    return picture(images([z], condition ? [told] : null), 0);
  }
  function picture(made, index) {
    const data = new ImageData(side, side), from = index * side * side * channels;
    for (let p = 0; p < side * side; p++) {
      for (let o = 0; o < 3; o++) data.data[4 * p + o] = made[from + p * channels + (channels === 3 ? o : 0)];
      data.data[4 * p + 3] = 255;
    }
    return data;
  }
  return { model, noise, size: side, channels, classes: model.classes, latent, label, vector: condition ? vector : null, images, picture, generate, simd };
}
