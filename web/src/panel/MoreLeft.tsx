import { Show } from "solid-js";

/** How many rows are not shown, where there are such. */
export function MoreLeft(props: { count: number; what?: string }) {
  return (
    <Show when={props.count > 0}>
      <p class="foot">
        +{props.count.toLocaleString("en")} more {props.what}
      </p>
    </Show>
  );
}
