/** The way to the page that is open, as far as the page knows it. */
import { signal } from "@preact/signals";

export interface Step {
  path: string[];
  text: string;
}

export const trail = signal<Step[]>([]);
