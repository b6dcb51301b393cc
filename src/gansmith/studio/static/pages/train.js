// Train: choose data, recipe and length, and watch what comes of it.

import { setup } from "./train/setup.js";
import { watch } from "./train/watch.js";

export const title = "Train";

export async function mount(root, context) {
  if (context.path.length) await watch(root, context, context.path[0]);
  else await setup(root, context);
}
