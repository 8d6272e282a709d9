
// The explorer as a widget of a notebook; Python sends what lies behind a node.
const HEIGHT = "560px";

function render({ model, el }) {
  const root = make("div", el);
  root.style.height = HEIGHT;
  const { relation, domain } = model.get("choices");
  const tools = [
    choice("Steps", "hops", [1, 2, 3].map((n) => [n, String(n)])),
    choice("Relation", "relation", [["", "all"], ...relation.map((name) => [name, name])]),
    choice("Domain", "domain", [["", "all"], ...domain.map((name) => [name, name])]),
  ];
  function choice(title, trait, values) {
    const label = make("label", null, { textContent: title });
    const select = make("select", label);
    for (const [value, text] of values) make("option", select, { value, textContent: text });
    const show = () => { select.value = String(model.get(trait)); };
    select.addEventListener("change", () => {
      model.set(trait, trait === "hops" ? Number(select.value) : select.value);
      model.save_changes();
    });
    model.on(`change:${trait}`, show);
    show();
    return label;
  }
  let explorer;
  const draw = () => {
    explorer?.destroy();
    explorer = createExplorer(root, model.get("elements"), {
      tools,
      onExpand: ({ id }) => model.send({ do: "expand", id }),
      onCenter: ({ id }) => model.send({ do: "center", id }),
      onSearch: (text) => model.send({ do: "search", text }),
    });
  };
  const told = (message) => {
    if (message.add) explorer.add(message.add);
    if (message.found) explorer.offer(message.found, message.text);
  };
  model.on("change:elements", draw);
  model.on("msg:custom", told);
  draw();
  return () => {
    model.off("change:elements", draw);
    model.off("msg:custom", told);
    explorer.destroy();
  };
}

export default { render };
