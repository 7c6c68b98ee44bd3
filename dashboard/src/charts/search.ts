/** What is typed into the search field of metrics. */

export interface Search {
  prefix?: string;
  pattern?: string;
  regex?: string;
}

/** What a text in the search field asks for: /expression/, a glob with * or ?, or a part of the name. */
export function readSearch(text: string): Search {
  const trimmed = text.trim();
  if (!trimmed) return {};
  const expression = /^\/(.+?)\/?$/.exec(trimmed);
  if (expression) return { regex: expression[1] as string };
  if (/[*?]/.test(trimmed)) return { pattern: trimmed };
  // Whatever its case; the rest of the text stands for itself.
  return { regex: `(?i)${trimmed.replace(/[\\^$.|?*+()[\]{}]/g, "\\$&")}` };
}
