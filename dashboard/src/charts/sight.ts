/**
 * Who is on the screen. One observer tells of all elements of a page in one go, so that what comes into sight together can be
 * asked for together.
 */
type Told = (seen: boolean) => void;

export class Sight {
  private readonly told = new Map<Element, Told>();
  private readonly observer: IntersectionObserver;

  /** ROOM is how far from the screen counts as seen: "300px". */
  constructor(room: string) {
    this.observer = new IntersectionObserver(
      (entries) => {
        // Of several entries of one element the last one counts.
        const latest = new Map(entries.map((entry) => [entry.target, entry.isIntersecting]));
        for (const [element, seen] of latest) this.told.get(element)?.(seen);
      },
      { rootMargin: room },
    );
  }

  /** Tells whenever ELEMENT comes into sight or leaves it, until the returned function is called. */
  watch(element: Element, told: Told): () => void {
    this.told.set(element, told);
    this.observer.observe(element);
    return () => {
      this.told.delete(element);
      this.observer.unobserve(element);
    };
  }

  close(): void {
    this.observer.disconnect();
    this.told.clear();
  }
}
