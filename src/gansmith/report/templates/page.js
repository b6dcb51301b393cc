// Turns each strip of sheets into one sheet with a slider. Without this script the strip scrolls sideways.
for (const strip of document.querySelectorAll(".strip")) {
  const sheets = [...strip.children];
  if (sheets.length < 2) continue;
  const controls = document.createElement("div");
  controls.className = "controls";
  const play = document.createElement("button");
  play.type = "button";
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min: 0, max: sheets.length - 1, step: 1 });
  slider.setAttribute("aria-label", "how far training had come");
  controls.append(play, slider);
  strip.after(controls);
  strip.classList.add("one");
  let timer = 0;

  const show = (index) => {
    sheets.forEach((sheet, place) => { sheet.hidden = place !== index; });
    slider.value = index;
    slider.setAttribute("aria-valuetext", sheets[index].querySelector("figcaption").textContent);
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
  };
  const next = () => {
    const index = Number(slider.value) + 1;
    show(index);
    if (index === sheets.length - 1) stop();
  };
  slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (Number(slider.value) === sheets.length - 1) show(0);
    play.textContent = "Pause";
    timer = setInterval(next, 450);
  });
  stop();
  show(sheets.length - 1);
}

// Puts a button beside each command that copies it.
for (const block of document.querySelectorAll(".code")) {
  const text = block.querySelector("code");
  const copy = document.createElement("button");
  copy.type = "button";
  copy.textContent = "Copy";
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.textContent);
    } catch { // an old browser, or one that allows it only to pages from a server
      getSelection().selectAllChildren(text);
      document.execCommand("copy");
    }
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  });
  block.append(copy);
}
