// Dark or light: as the system says, until the reader says otherwise.

const KEY = "tasktree-rt.theme";

export function initTheme(button) {
  const root = document.documentElement;
  const stored = localStorage.getItem(KEY);
  if (stored === "dark" || stored === "light") root.dataset.theme = stored;
  button.addEventListener("click", () => {
    const dark = getComputedStyle(root).getPropertyValue("--scheme").trim() === "dark";
    root.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem(KEY, root.dataset.theme);
  });
}
