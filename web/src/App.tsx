/** The page: its head, the view, the open plate, the selection. */
import { useEffect } from "preact/hooks";
import { library, plateCount } from "./data/library.ts";
import { mapProblem } from "./map/shown.ts";
import { MapView } from "./map/Map.tsx";
import { CopyText } from "./parts/CopyText.tsx";
import { close, Panel } from "./plate/Panel.tsx";
import { SelectionBar } from "./save/SelectionBar.tsx";
import { SearchBox } from "./search/SearchBox.tsx";
import { hashOfView, linkToThis } from "./state/address.ts";
import type { View } from "./state/hash.ts";
import { announce, announcement, isWide, openPlate, view } from "./state/state.ts";
import { isDark, toggleTheme } from "./state/theme.ts";
import { AboutView } from "./views/About.tsx";
import { AgreementView } from "./views/Agreement.tsx";
import { FailuresView } from "./views/Failures.tsx";
import { ListView } from "./views/List.tsx";
import { plural } from "./words.ts";

const NAMES: Record<View, string> = { map: "Map", list: "List", failures: "Failures", agreement: "Agreement", about: "About" };

function Head() {
  return (
    <header class="page-head">
      <div class="page-title">
        <h1>{library.title}</h1>
        <p>{plural(plateCount(), "plate")}</p>
      </div>
      <nav aria-label="Views">
        {Object.entries(NAMES).map(([key, name]) => (
          <a
            key={key}
            href={hashOfView(key as View)}
            aria-current={view.value === key ? "page" : undefined}
            onClick={(event) => {
              if (event.ctrlKey || event.metaKey || event.shiftKey) return;
              event.preventDefault();
              view.value = key as View;
              if (isWide.value) openPlate.value = null;
              isWide.value = false;
              announce(`${name} shown`);
            }}
          >
            {name}
            {key === "failures" && library.failures.length > 0 && <span class="badge">{library.failures.length}</span>}
          </a>
        ))}
      </nav>
      <SearchBox />
      <CopyText text={linkToThis} button="Copy link" label="link to this view" />
      <button type="button" class="quiet theme" onClick={toggleTheme} aria-label={isDark.value ? "Light page" : "Dark page"}>
        {isDark.value ? "☀" : "☾"}
      </button>
    </header>
  );
}

function Main() {
  switch (view.value) {
    case "map":
      return mapProblem.value === null ? (
        <MapView />
      ) : (
        <>
          <p class="problem" role="alert">
            The map cannot be drawn here: {mapProblem.value}. The list shows the same plates.{" "}
            <button type="button" onClick={() => (mapProblem.value = null)}>
              Try again
            </button>
          </p>
          <ListView />
        </>
      );
    case "list":
      return <ListView />;
    case "failures":
      return <FailuresView />;
    case "agreement":
      return <AgreementView />;
    case "about":
      return <AboutView />;
  }
}

export function App() {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || event.defaultPrevented || openPlate.value === null) return;
      close();
      document.getElementById("map")?.focus();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
  useEffect(() => {
    document.title = `${library.title}: ${NAMES[view.value]}`;
  });
  const plate = openPlate.value;
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          document.getElementById("main")?.focus();
        }}
      >
        Skip to the plates
      </a>
      <Head />
      <div class={`page-body${plate === null ? "" : " has-panel"}${isWide.value && plate !== null ? " is-wide" : ""}`}>
        <main id="main" tabIndex={-1}>
          <Main />
        </main>
        {plate !== null && <Panel index={plate} />}
      </div>
      <SelectionBar />
      <p class="for-readers" role="status" aria-live="polite">
        {announcement}
      </p>
    </>
  );
}
