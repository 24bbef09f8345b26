import { useElementSize } from '@mantine/hooks';
import { clock, rate } from '../format';

export interface Line {
  name: string;
  className: string;
  points: { time: number; value: number }[];
}

/** Lines over time. The figures of the last moment are in its label, for who cannot see it. */
export function Chart({ title, lines, height = 150, format = rate }: { title: string; lines: Line[]; height?: number; format?: (n: number) => string }) {
  const { ref, width } = useElementSize();
  const all = lines.flatMap((line) => line.points);
  const from = Math.min(...all.map((p) => p.time));
  const to = Math.max(...all.map((p) => p.time), from + 1);
  const most = nice(Math.max(...all.map((p) => p.value), 1));
  const left = 52;
  const x = (time: number) => left + ((time - from) / (to - from)) * Math.max(0, width - left - 4);
  const y = (value: number) => 8 + (1 - value / most) * (height - 30);
  const told = lines.map((line) => `${line.name} ${format(line.points.at(-1)?.value ?? 0)}`).join(', ');
  return (
    <div ref={ref}>
      <svg className="chart" height={height} role="img" aria-label={`${title}: ${all.length ? `now ${told}` : 'nothing yet'}`}>
        {[0, 1].map((share) => (
          <g key={share}>
            <line className="grid" x1={left} x2={Math.max(left, width - 4)} y1={y(most * share)} y2={y(most * share)} />
            <text x={left - 8} y={y(most * share) + 4} textAnchor="end">
              {format(most * share)}
            </text>
          </g>
        ))}
        {all.length > 0 && width > 0 && (
          <>
            <text x={left} y={height - 4}>
              {clock(from)}
            </text>
            <text x={width - 4} y={height - 4} textAnchor="end">
              {clock(to)}
            </text>
            {lines.map((line) => (
              <polyline key={line.name} className={`line ${line.className}`} points={line.points.map((p) => `${x(p.time).toFixed(1)},${y(p.value).toFixed(1)}`).join(' ')} />
            ))}
          </>
        )}
      </svg>
      <div className="legend" aria-hidden="true">
        {lines.map((line) => (
          <span key={line.name} className={line.className}>
            {line.name}
          </span>
        ))}
      </div>
    </div>
  );
}

/** The next number that begins with 1, 2 or 5. */
function nice(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * unit).find((step) => step >= value) ?? value;
}
