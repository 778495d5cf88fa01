@extends('layout')

@section('title', __('site.title'))

@section('content')
    <p>{{ __('site.welcome') }}</p>
    <h2 class="mt-6 text-lg font-semibold">{{ __('site.visits') }}</h2>
    <ul id="visits">
        @forelse ($visits as $visit)
            <li>{{ $visit->token }} · {{ $visit->created_at }}</li>
        @empty
            <li>{{ __('site.none') }}</li>
        @endforelse
    </ul>
@endsection
