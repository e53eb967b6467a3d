// A plugin of Swagger UI: the code samples of an operation above its answers, and titles that are no links within buttons.
const PLACE = "http://127.0.0.1:8000";

export const samples = (base) => ({ React }) => {
  const make = React.createElement;

  function Samples({ all, id }) {
    const [chosen, choose] = React.useState(0);
    const tabs = React.useRef([]);
    const step = (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      const next = (chosen + by + all.length) % all.length;
      choose(next);
      tabs.current[next].focus();
    };
    const tab = ({ label }, index) => make("button", {
      key: label, type: "button", role: "tab", id: `${id}-${index}`, ref: (node) => { tabs.current[index] = node; },
      "aria-selected": index === chosen, "aria-controls": id, tabIndex: index === chosen ? 0 : -1,
      onClick: () => choose(index), onKeyDown: step,
    }, label);
    return make("section", null,
      make("div", { className: "opblock-section-header" }, make("h4", null, "As code")),
      make("div", { className: "samples" },
        make("div", { role: "tablist", "aria-label": "Language" }, all.map(tab)),
        make("pre", { id, role: "tabpanel", tabIndex: 0, "aria-labelledby": `${id}-${chosen}` }, all[chosen].source.replaceAll(PLACE, base))));
  }

  const responses = (Original, { specSelectors }) => (properties) => {
    const all = specSelectors.specJson().getIn(["paths", properties.path, properties.method, "x-codeSamples"]);
    const answers = make(Original, properties);
    return all ? make(React.Fragment, null, make(Samples, { all: all.toJS(), id: `samples-${properties.method}${properties.path.replaceAll("/", "-")}` }), answers) : answers;
  };

  return { components: { DeepLink: ({ text }) => make("span", null, text) }, wrapComponents: { responses } };
};
