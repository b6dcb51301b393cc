// Judge: all runs in a table, and some of them side by side.

import { compare } from "./judge/compare.js";
import { table } from "./judge/table.js";

export const title = "Judge";

export async function mount(root, context) {
  if (context.path.length) await compare(root, context, context.path);
  else await table(root, context);
}
