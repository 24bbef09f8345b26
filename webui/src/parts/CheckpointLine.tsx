import { useElementSize } from '@mantine/hooks';
import type { Checkpoint } from '../api';
import { clock, duration } from '../format';

const COLOURS: Record<string, string> = { COMPLETED: 'var(--accent)', FAILED: 'var(--bad)' };
const HEIGHT = 120;

/** Checkpoints on a time line: each a bar as high as it was long. */
export function CheckpointLine({ found }: { found: { pipelineId: number; checkpoint: Checkpoint }[] }) {
  const { ref, width } = useElementSize();
  const times = found.map(({ checkpoint }) => checkpoint.triggerTimestamp);
  const [from, to] = [Math.min(...times), Math.max(...times)];
  const longest = Math.max(1, ...found.map(({ checkpoint }) => checkpoint.durationMillis ?? 0));
  const failed = found.filter(({ checkpoint }) => checkpoint.status === 'FAILED').length;
  const x = (time: number) => 10 + ((time - from) / Math.max(1, to - from)) * Math.max(0, width - 24);
  return (
    <div ref={ref}>
      <svg className="chart" height={HEIGHT} role="img" aria-label={`${found.length} checkpoints, ${failed} failed, the longest took ${duration(longest)}`}>
        <line className="grid" x1={0} x2={width} y1={HEIGHT - 22} y2={HEIGHT - 22} />
        {found.map(({ pipelineId, checkpoint }) => {
          const high = 4 + ((checkpoint.durationMillis ?? longest) / longest) * (HEIGHT - 44);
          return (
            <rect
              key={`${pipelineId}-${checkpoint.checkpointId}`}
              x={x(checkpoint.triggerTimestamp)}
              y={HEIGHT - 22 - high}
              width={5}
              height={high}
              rx={2}
              fill={COLOURS[checkpoint.status] ?? 'var(--run)'}
            >
              <title>{`${checkpoint.checkpointId}: ${checkpoint.status.toLowerCase()}, ${duration(checkpoint.durationMillis ?? 0)}`}</title>
            </rect>
          );
        })}
        <text x={0} y={HEIGHT - 6}>
          {clock(from)}
        </text>
        <text x={width} y={HEIGHT - 6} textAnchor="end">
          {clock(to)}
        </text>
        <text x={width} y={10} textAnchor="end">
          longest {duration(longest)}
        </text>
      </svg>
    </div>
  );
}
