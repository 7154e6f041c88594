/** Saves a text as a file where the person's browser saves files. */
export function download(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  window.setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Today as `20260314`, for names of files. */
export const today = (): string => new Date().toISOString().slice(0, 10).replaceAll("-", "");
