// Where a browser refuses to keep anything, as with all cookies blocked, things are kept as long as the page is open: the
// theme's own scripts would stop at the first refusal.
for (const name of ["localStorage", "sessionStorage"]) {
  try {
    globalThis[name].getItem("");
  } catch {
    const kept = new Map();
    const value = {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, text) => void kept.set(key, String(text)),
      removeItem: (key) => void kept.delete(key),
    };
    Object.defineProperty(globalThis, name, { value });
  }
}
