// What the drawings share: colours and fonts, dark and light.

// Okabe and Ito's colours, which colour-blind readers can distinguish; the yellow darkened.
export const COLORS = [
  "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#A98600", "#56B4E9", "#7A4FBF", "#8C564B",
];
export const THEMES = {
  light: { ground: "#ffffff", ink: "#1c2024", soft: "#60646c", line: "#9aa1a9", tint: 0.14 },
  dark: { ground: "#15181b", ink: "#e6e8ea", soft: "#a3a9b2", line: "#646b74", tint: 0.34 },
};
export const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC", '
  + '"PingFang SC", "Microsoft YaHei", sans-serif';

export function systemTheme() {
  // JupyterLab has a theme of its own, around the frame too that holds a page.
  const lab = (window.frameElement?.ownerDocument ?? document).body.dataset.jpThemeLight;
  if (lab) return lab === "false" ? "dark" : "light";
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

// The wheel scrolls a notebook, and zooms a picture in it once that has been clicked; a picture with
// a page of its own is zoomed at once.
export function wheelZooms(canvas) {
  const alone = window === window.top && !document.body.dataset.jpThemeLight;
  return alone || document.activeElement === canvas;
}

// The colour of a kind of node: a domain by its place among all domains of the graph.
export function kindColor(kind, domains, theme = systemTheme()) {
  if (kind === "user") return theme === "dark" ? "#9aa1a9" : "#6b7178";
  if (["interest", "attribute"].includes(kind)) return theme === "dark" ? "#e6e8ea" : "#2b2f33";
  const at = domains.indexOf(kind);
  return COLORS[(at < 0 ? domains.length : at) % COLORS.length];
}
