/** Give the reader a file made of these lines. */
export function download(name: string, lines: readonly string[], type = "text/plain"): void {
  const address = URL.createObjectURL(new Blob(lines as string[], { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name.replaceAll(/[^\w.-]+/g, "_").slice(-100);
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
