/** Hands the person a file that was made in the page. */
export function download(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = url;
  link.download = fileName(name);
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A name that every file system takes. */
export function fileName(text: string): string {
  const safe = text.replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^[-.]+/, "");
  return Array.from(safe).slice(0, 120).join("") || "stepline";
}
