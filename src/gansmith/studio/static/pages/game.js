// The Game: both players, step by step, and what the judge makes of every image.

import { play } from "./game/play.js";
import { tour } from "./game/tour.js";

export const title = "The game";

export async function mount(root, context) {
  if (context.path[0] === "tour") await tour(root, context);
  else await play(root, context);
}
