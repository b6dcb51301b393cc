// Quiz: real or forged? Alone against the clock, or a class with the same pictures and one table.

import { join } from "./quiz/join.js";
import { lobby } from "./quiz/lobby.js";
import { board } from "./quiz/board.js";

export const title = "Quiz";

export async function mount(root, context) {
  const [code, view] = context.path;
  if (!code) await lobby(root, context);
  else if (view === "table") await board(root, context, code);
  else await join(root, context, code);
}
