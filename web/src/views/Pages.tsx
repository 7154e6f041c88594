/** Steps through a long table. */
interface Props {
  count: number;
  each: number;
  page: number;
  onPage: (page: number) => void;
}

export function Pages({ count, each, page, onPage }: Props) {
  const last = Math.max(0, Math.ceil(count / each) - 1);
  if (last === 0) return null;
  return (
    <nav class="pages" aria-label="Pages of the table">
      <button type="button" disabled={page === 0} onClick={() => onPage(page - 1)}>
        Before
      </button>
      <label>
        <span>Page</span>
        <select value={page} onChange={(event) => onPage(Number(event.currentTarget.value))}>
          {Array.from({ length: last + 1 }, (_, number) => (
            <option key={number} value={number}>
              {number * each + 1}–{Math.min(count, (number + 1) * each)}
            </option>
          ))}
        </select>
      </label>
      <button type="button" disabled={page === last} onClick={() => onPage(page + 1)}>
        Next
      </button>
    </nav>
  );
}
