/** What is to be said of a data folder that was being filled from another member's journal; no line where it was not. */
export function fillText(folder: string, partCount: number): readonly string[] {
  if (partCount === 0) return [];
  const files = partCount === 1 ? "1 file" : `${partCount} files`;
  return [
    `${folder}: HALF FILLED: ${files} of another member's journal, which count for nothing; this is what the folder held ` +
      "before, and this member is filled anew when it starts",
  ];
}
