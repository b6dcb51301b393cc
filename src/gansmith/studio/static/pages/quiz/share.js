// The result as a picture: drawn by the page itself, and saved or handed to the phone's own way of sharing.

const [WIDTH, HEIGHT] = [1200, 630];
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif';

const load = (picture) => new Promise((done, failed) => {
  const image = new Image();
  image.onload = () => done(image);
  image.onerror = () => failed(new Error("A picture could not be drawn."));
  image.src = `data:image/png;base64,${picture}`;
});

export async function draw(canvas, found) {
  const images = await Promise.all(found.pictures.map((each) => load(each.picture)));
  [canvas.width, canvas.height] = [WIDTH, HEIGHT];
  const pen = canvas.getContext("2d");
  const text = (words, x, y, size, colour, weight = 500) => { pen.font = `${weight} ${size}px ${FONT}`; pen.fillStyle = css(colour); pen.fillText(words, x, y, WIDTH - x - 56); };
  pen.fillStyle = css("--bg");
  pen.fillRect(0, 0, WIDTH, HEIGHT);
  pen.fillStyle = css("--accent");
  pen.fillRect(0, 0, WIDTH, 12);
  const { score } = found;
  text("Real or forged?", 56, 84, 34, "--quiet", 600);
  text(`${score.right} of ${score.rounds} right`, 56, 184, 92, "--ink", 720);
  text(`${found.odds}.`, 56, 240, 29, "--ink", 500);
  text(`${score.taken_for_real} of ${score.forged} forgeries by ${found.generator} passed for real.`, 56, 284, 29, "--ink", 500);
  const columns = Math.min(10, images.length);
  const size = Math.min(94, (WIDTH - 112) / columns - 9);
  const lines = Math.ceil(images.length / columns);
  const tile = Math.min(size, (HEIGHT - 320 - 60) / lines - 9);
  const step = columns === 10 ? (WIDTH - 112 - tile) / 9 : tile + 16;
  pen.imageSmoothingEnabled = false;
  images.slice(0, 40).forEach((image, index) => {
    const { forged, said } = found.pictures[index];
    const [x, y] = [56 + (index % columns) * step, 322 + Math.floor(index / columns) * (tile + 16)];
    pen.fillStyle = css(forged === said ? "--good" : "--bad");
    pen.beginPath(); pen.roundRect(x - 5, y - 5, tile + 10, tile + 10, 10); pen.fill();
    pen.drawImage(image, x, y, tile, tile);
    if (forged) { pen.fillStyle = css("--g"); pen.beginPath(); pen.arc(x + tile - 4, y + tile - 4, 13, 0, 7); pen.fill(); pen.font = `700 17px ${FONT}`; pen.fillStyle = css("--accent-ink"); pen.textAlign = "center"; pen.fillText("F", x + tile - 4, y + tile + 2); pen.textAlign = "left"; }
  });
  text("green: I was right; red: I was wrong; F: forged", 56, HEIGHT - 34, 22, "--quiet");
  pen.textAlign = "right";
  pen.font = `650 24px ${FONT}`; pen.fillStyle = css("--ink");
  pen.fillText("gansmith studio", WIDTH - 56, HEIGHT - 34);
  pen.textAlign = "left";
}

/** Saves a canvas as a PNG, or sends it; false where the browser cannot send. */
export async function share(canvas, name, how) {
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  if (!blob) throw new Error("The picture could not be made.");
  if (how === "send") {
    const file = new File([blob], name, { type: "image/png" });
    if (!navigator.canShare?.({ files: [file] })) return false;
    try { await navigator.share({ files: [file], title: "Real or forged?" }); } catch (error) { if (error.name !== "AbortError") throw error; }
    return true;
  }
  const url = URL.createObjectURL(blob);
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
  return true;
}
