// Blobs to canvases and to the disk.

import { h } from "../../lib/dom.js";

/** Draws a picture onto a canvas of its size. */
export async function paint(canvas, blob) {
  const picture = await createImageBitmap(blob);
  canvas.getContext("2d", { willReadFrequently: true }).drawImage(picture, 0, 0);
  picture.close();
}

/** Offers a blob as a download. */
export function keep(blob, name) {
  const address = URL.createObjectURL(blob);
  const anchor = h("a", { href: address, download: name });
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
