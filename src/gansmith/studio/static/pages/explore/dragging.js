// Images taken by hand: dropped on another one, the two are mixed; dropped on an empty place, one is kept.

let held = null;

/** Makes an element draggable. `what()` gives {point, name, canvas}. */
export function drag(element, what) {
  element.draggable = true;
  element.addEventListener("dragstart", (event) => {
    held = what();
    event.dataTransfer.effectAllowed = "copy";
    event.dataTransfer.setData("text/plain", held.name);
    event.dataTransfer.setDragImage(held.canvas, 14, 14);
  });
  element.addEventListener("dragend", () => { held = null; });
}

/** Lets an element receive what is dragged. */
export function drop(element, got) {
  const over = (on) => element.classList.toggle("over", on);
  element.addEventListener("dragover", (event) => {
    if (!held) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    over(true);
  });
  element.addEventListener("dragleave", () => over(false));
  element.addEventListener("drop", (event) => {
    if (!held) return;
    event.preventDefault();
    over(false);
    got(held);
  });
}
