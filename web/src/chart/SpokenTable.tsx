import { Index } from "solid-js";

/** What a screen reader reads in place of a chart. */
export interface Spoken {
  readonly lines: readonly string[];
  /** Newest first. */
  readonly rows: readonly { readonly x: number; readonly cells: readonly string[] }[];
}

/** The table behind a chart. */
export function SpokenTable(props: { title: string; unit: string; time: boolean; table: Spoken }) {
  return (
    <div class="unseen">
      <table>
        <caption>
          {props.title}
          {props.unit === "" ? "" : ` in ${props.unit}`}, newest first
        </caption>
        <thead>
          <tr>
            <th scope="col">{props.time ? "Time" : "x"}</th>
            <Index each={props.table.lines}>{(line) => <th scope="col">{line()}</th>}</Index>
          </tr>
        </thead>
        <tbody>
          <Index each={props.table.rows}>
            {(row) => (
              <tr>
                <th scope="row">{props.time ? <Time at={row().x} /> : row().x}</th>
                <Index each={row().cells}>{(cell) => <td>{cell()}</td>}</Index>
              </tr>
            )}
          </Index>
        </tbody>
      </table>
    </div>
  );
}

function Time(props: { at: number }) {
  const at = () => new Date(props.at);
  const valid = () => !Number.isNaN(at().getTime());
  return (
    <time datetime={valid() ? at().toISOString() : undefined}>{valid() ? at().toLocaleString("en-GB") : props.at}</time>
  );
}
