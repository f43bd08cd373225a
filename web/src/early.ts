// Runs before the first paint, as a file of its own (no inline scripts): without it a
// viewer of the dark theme sees a white flash. Must agree with startTheme().
let stored: string | null = null;
try {
  stored = localStorage.getItem('petrel.theme');
} catch {
  // a browser that keeps nothing
}
const isDark = stored === 'dark' || (stored !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
document.documentElement.dataset['theme'] = isDark ? 'dark' : 'light';

export {};
