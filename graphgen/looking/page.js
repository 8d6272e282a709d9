// Writes titles beside the dots of a neighbourhood, as many as fit without covering one another.
// Runs after every redraw: zooming in makes room for more. LABELS comes with the page, most
// important first: {x, y, text, radius, size, trace}.
(function () {
  const plot = document.getElementById("neighborhood");
  const canvas = document.createElement("canvas").getContext("2d");
  const last = plot.data.length - 1; // the trace that holds the titles
  const family = plot.layout.font.family;
  // Which side of its dot a title stands on: plotly's name, and the direction in pixels.
  const sides = [
    ["middle right", 1, 0], ["middle left", -1, 0], ["top center", 0, -1],
    ["bottom center", 0, 1], ["top right", 1, -1], ["top left", -1, -1],
    ["bottom right", 1, 1], ["bottom left", -1, 1],
  ];
  const apart = (a, b) => a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
  let shown = "";

  // Room below the plot for the legend, which puts as many entries on a line as fit.
  function legendHeight(width) {
    canvas.font = plot.layout.font.size + "px " + family;
    let rows = 1, used = 0;
    for (const trace of plot.data.filter((some) => some.showlegend !== false)) {
      const needed = canvas.measureText(trace.name).width + 60; // with the symbol and the gap
      if (used && used + needed > width) rows += 1, used = 0;
      used += needed;
    }
    return 12 + 22 * rows;
  }

  function place() {
    const { margin, xaxis, yaxis } = plot.layout;
    const width = plot.clientWidth - margin.l - margin.r;
    const below = legendHeight(width);
    if (margin.b !== below) {
      Plotly.relayout(plot, { "margin.b": below }); // ends in another call of this function
      return;
    }
    const height = plot.clientHeight - margin.t - margin.b;
    const small = width < 500;
    const along = (value, [from, to], pixels) => ((value - from) / (to - from)) * pixels;
    const dots = LABELS.map((label) => [
      along(label.x, xaxis.range, width), height - along(label.y, yaxis.range, height)]);
    const visible = LABELS.map((label, i) =>
      (plot.data[label.trace].visible ?? true) === true &&
      dots[i][0] > 0 && dots[i][0] < width && dots[i][1] > 0 && dots[i][1] < height);
    const taken = LABELS.flatMap((label, i) => {
      const [x, y] = dots[i], r = label.radius;
      return visible[i] ? [[x - r, y - r, x + r, y + r]] : [];
    });
    const chosen = { x: [], y: [], text: [], position: [], size: [], radius: [] };
    LABELS.forEach((label, i) => {
      if (!visible[i]) return;
      const size = small ? label.size - 2 : label.size;
      canvas.font = size + "px " + family;
      const w = canvas.measureText(label.text).width + 6, h = size * 1.3;
      const [x, y] = dots[i], gap = label.radius + 2;
      const order = x >= width / 2 ? sides : sides.map(([name, dx, dy]) =>
        [name.replace(/left|right/, (s) => (s === "left" ? "right" : "left")), -dx, dy]);
      for (const [name, dx, dy] of order) {
        const cx = x + dx * (gap + w / 2), cy = y + dy * (gap + h / 2);
        const box = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2];
        if (box[0] < 0 || box[2] > width || box[1] < 0 || box[3] > height) continue;
        if (!taken.every((other) => apart(box, other))) continue;
        taken.push(box);
        chosen.x.push(label.x);
        chosen.y.push(label.y);
        chosen.text.push(label.text);
        chosen.position.push(name);
        chosen.size.push(size);
        chosen.radius.push(2 * label.radius);
        return;
      }
    });
    const now = JSON.stringify(chosen);
    if (now === shown) return; // a restyle redraws: without this there would be no end
    shown = now;
    Plotly.restyle(plot, {
      x: [chosen.x], y: [chosen.y], text: [chosen.text], textposition: [chosen.position],
      "textfont.size": [chosen.size], "marker.size": [chosen.radius],
    }, [last]);
  }

  plot.on("plotly_afterplot", place);
  place();
})();
