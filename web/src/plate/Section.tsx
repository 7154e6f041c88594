/** A part of what is shown of a plate: a heading, a sentence that says what it is, and the SQL of its numbers. */
import type { ComponentChildren } from "preact";
import { CopySql } from "../parts/CopySql.tsx";

interface Props {
  id: string;
  title: string;
  explain?: ComponentChildren;
  sql?: string | undefined;
  children: ComponentChildren;
}

export function Section({ id, title, explain, sql, children }: Props) {
  return (
    <section class="section" aria-labelledby={`section-${id}`}>
      <header>
        <h3 id={`section-${id}`}>{title}</h3>
        {sql && <CopySql sql={sql} what={title} />}
      </header>
      {explain && <p class="explain">{explain}</p>}
      {children}
    </section>
  );
}

/** Marks what a model wrote or read. */
export function MachineMade({ by }: { by: string }) {
  return (
    <span class="machine-made" title={`Written by ${by}, not by a person. It may be wrong.`}>
      machine-made
    </span>
  );
}
