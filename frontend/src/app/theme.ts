export const THEMES = ["system", "light", "dark"] as const;

export function applyTheme(theme: string): void {
  const root = document.documentElement;
  if (theme === "system") delete root.dataset.theme;
  else root.dataset.theme = theme;
}
