// Train: choose data, recipe and length, and watch what comes of it.

import { heading } from "../lib/ui.js";

export const title = "Train";

export async function mount(root) {
  root.append(heading("Train", "Two networks learn against each other: one forges images, one judges them."));
}
