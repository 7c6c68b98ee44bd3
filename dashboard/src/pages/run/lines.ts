/** Lines of a console, each in its latest state. */
import type { ConsoleLine } from "../../gen/stepline/v1/capture_pb";

export class ConsoleLines {
  /** By writer, in the order of their starts; then by the number of the line. */
  private readonly writers = new Map<string, Map<bigint, ConsoleLine>>();

  /** Takes in lines that are new or have changed; says whether there are any. */
  add(lines: readonly ConsoleLine[]): boolean {
    for (const line of lines) {
      const writer = line.writer.join(",");
      let kept = this.writers.get(writer);
      if (!kept) {
        kept = new Map();
        this.writers.set(writer, kept);
      }
      const before = kept.get(line.line);
      if (!before || before.ordinal <= line.ordinal) kept.set(line.line, line);
    }
    return lines.length > 0;
  }

  all(): ConsoleLine[] {
    const found: ConsoleLine[] = [];
    for (const lines of this.writers.values()) {
      found.push(...[...lines.values()].sort((a, b) => Number(a.line - b.line)));
    }
    return found;
  }
}
