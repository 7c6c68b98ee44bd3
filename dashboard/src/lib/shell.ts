/** Texts for a command line. */

/** TEXT as one word of a POSIX shell. */
export function word(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A command of WORDS. */
export function command(words: readonly string[]): string {
  return words.map(word).join(" ");
}
